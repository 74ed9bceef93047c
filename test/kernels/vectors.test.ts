import { describe, expect, it } from "vitest";
import { units, unitType, widthOf, window } from "../../kernels/vectors.js";
import { Device } from "../../src/gpu/device.js";
import { TYPICAL } from "../../src/gpu/limits.js";
import { Tensor } from "../../src/tensor/tensor.js";

describe("units", () => {
  it("are four elements where all channels divide by four", () => {
    expect([widthOf(320), widthOf(320, 64), widthOf(320, 6), widthOf(3)]).toEqual([4, 4, 1, 1]);
  });

  it("hold f16 as words on software adapters and where there is no shader-f16", () => {
    expect(unitType("f16", 4, TYPICAL)).toBe("vec4<f16>");
    expect(unitType("f16", 4, { ...TYPICAL, kind: "cpu" })).toBe("vec2<u32>");
    expect(unitType("f16", 4, { ...TYPICAL, f16: false })).toBe("vec2<u32>");
    expect(unitType("f32", 4, { ...TYPICAL, f16: false })).toBe("vec4<f32>");
    expect(() => unitType("f16", 1, { ...TYPICAL, f16: false })).toThrow("want an adapter with shader-f16");
    expect(Object.keys(units("f16", 4, TYPICAL))).toEqual(["V", "F"]);
    expect(Object.keys(units("f16", 4, { ...TYPICAL, f16: false }))).toEqual(["V", "F", "unpack", "pack"]);
  });

  it("are bound from an aligned offset, with the rest skipped", () => {
    using device = Device.dry();
    const t = Tensor.empty(device, [100, 12], "f16");
    const { binding, skip } = window(t, 31 * 12, 5 * 12, 4);
    // 744 bytes = 512 + 29 units of 8 bytes
    expect([binding.offset, skip]).toEqual([512, 29]);
    expect(binding.offset + binding.size).toBeGreaterThanOrEqual(36 * 24);
  });
});
