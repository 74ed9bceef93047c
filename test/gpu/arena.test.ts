import { describe, expect, it } from "vitest";
import { assignBuffers, type Lifetime } from "../../src/gpu/arena.js";
import { Device } from "../../src/gpu/device.js";
import { Tensor } from "../../src/tensor/tensor.js";

const life = (bytes: number, start: number, end: number): Lifetime => ({ bytes, start, end });

describe("assignBuffers", () => {
  it("shares a buffer between lives that do not meet", () => {
    const { buffer, sizes } = assignBuffers([life(100, 0, 3), life(50, 1, 5), life(80, 4, 7)]);
    expect(buffer).toEqual([0, 1, 0]);
    expect(sizes).toEqual([100, 50]);
  });

  it("never lets two lives meet in one buffer, whatever they are", () => {
    let seed = 1;
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
    const lives = Array.from({ length: 200 }, () => {
      const start = random(300);
      return life(256 * (1 + random(40)), start, start + 1 + random(30));
    });
    const { buffer, sizes } = assignBuffers(lives);
    for (const [i, a] of lives.entries()) {
      expect(sizes[buffer[i]!]).toBeGreaterThanOrEqual(a.bytes);
      for (const [j, b] of lives.entries())
        if (i < j && buffer[i] === buffer[j]) expect(a.end < b.start || b.end < a.start).toBe(true);
    }
    const most = Math.max(
      ...lives.map((_, t) => lives.filter((l) => l.start <= t && t <= l.end).reduce((n, l) => n + l.bytes, 0)),
    );
    expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(2 * most);
  });
});

describe("a recording", () => {
  it("takes the memory of its plan, keeps it, and gives it back", () => {
    const device = Device.dry();
    const { result, recording } = device.record(() =>
      device.scope(() => {
        Tensor.empty(device, [1000], "f32").dispose();
        return Tensor.empty(device, [900], "f32");
      }),
    );
    const { reserved } = device.memory;
    expect(reserved).toBe(4096); // the two share: 4000 bytes, rounded up
    using other = Tensor.empty(device, [1000], "f32");
    result.dispose();
    expect(device.memory.reserved).toBeGreaterThan(reserved);
    recording.dispose();
    other.dispose();
    device.trim();
    expect(device.memory).toMatchObject({ used: 0, reserved: 0 });
  });

  it("refuses a body that allocates otherwise the second time", () => {
    const device = Device.dry();
    let runs = 0;
    const body = () => {
      Tensor.empty(device, [++runs * 1000], "f32").dispose();
    };
    expect(() => device.record(body)).toThrow("allocate alike");
    device.trim();
    expect(device.memory.reserved).toBe(0);
  });
});
