import { describe, expect, it } from "vitest";
import { Device } from "../../src/gpu/device.js";
import { decode, encode, fromHalfBits, toHalfBits } from "../../src/tensor/dtype.js";
import { dims4, rowsOf } from "../../src/tensor/shape.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";

describe("half precision", () => {
  it("round-trips all finite halves", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromHalfBits(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromHalfBits(toHalfBits(value)))).toBe(true);
      else if (toHalfBits(value) !== bits) throw new Error(`bits ${bits} came back as ${toHalfBits(value)}`);
    }
  });

  it.each([
    [1 + 2 ** -11, 0x3c00], // a tie goes to even
    [1 + 3 * 2 ** -11, 0x3c02],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [2 ** -25, 0],
    [2 ** -25 * 1.0001, 1],
    [-(2 ** -14), 0x8400],
    [2 ** -14 - 2 ** -26, 0x0400],
    [Infinity, 0x7c00],
  ])("rounds %d to nearest even", (value, bits) => {
    expect(toHalfBits(value)).toBe(bits);
  });

  it("encodes and decodes", () => {
    expect([...decode(encode([1, -0.5, 3], "f16").buffer, "f16")]).toEqual([1, -0.5, 3]);
    expect([...decode(encode([7, 2 ** 31], "u32").buffer, "u32")]).toEqual([7, 2 ** 31]);
  });
});

describe("Tensor", () => {
  it("reads back what was written, f32 and f16", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [1.5, -2, 3], [3], "f32");
    using b = Tensor.from(device, [1.5, -2, 3], [3], "f16");
    expect([...(await a.read())]).toEqual([1.5, -2, 3]);
    expect([...(await b.read())]).toEqual([1.5, -2, 3]);
  });

  it("shares its buffer with views until the last one goes", () => {
    const device = Device.dry();
    const a = Tensor.empty(device, [4, 64], "f32", "a");
    const row = a.slice(1, 2);
    const flat = a.reshape([256]);
    expect(row.shape).toEqual([2, 64]);
    expect(row.binding().offset).toBe(256);
    a.dispose();
    row.dispose();
    expect(device.memory.used).toBeGreaterThan(0);
    flat.dispose();
    flat.dispose();
    expect(device.memory.used).toBe(0);
    expect(() => a.reshape([256])).toThrow('f32[4, 64] "a" was disposed');
  });

  it("names itself and the shape where they do not fit", () => {
    const device = Device.dry();
    const a = Tensor.empty(device, [2, 3], "f16", "w");
    expect(() => a.reshape([7])).toThrow('f16[2, 3] "w" has 6 elements, [7] has 7');
    expect(() => dims4(a, "conv2d: x")).toThrow('conv2d: x: expected 4 dimensions, got f16[2, 3] "w"');
    expect(() => Tensor.from(device, [1, 2], [3])).toThrow("2 values do not fill the shape [3]");
    expect(() => a.slice(0, 3)).toThrow("out of range");
    expect(rowsOf(a)).toEqual([2, 3]);
  });
});
