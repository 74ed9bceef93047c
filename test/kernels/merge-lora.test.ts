import { describe, expect, it } from "vitest";
import { mergeLora } from "../../kernels/merge-lora.js";
import type { Device } from "../../src/gpu/device.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";

const stored = fixture("kernels-norms");
const put = (device: Device, name: string, dtype: "f32" | "f16") =>
  Tensor.from(device, stored(name).values, stored(name).shape, dtype, name);

describe.each(["f32", "f16"] as const)("mergeLora, %s", (dtype) => {
  it.each(["linear", "pointwise", "conv", "mid"])("agrees with torch: %s", async (name) => {
    const device = await testDevice();
    using y = device.scope(() => {
      const [w, down, up] = ["w", "down", "up"].map((k) => put(device, `lora.${name}.${k}`, dtype)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const mid = name === "mid" ? put(device, "lora.mid.mid", dtype) : undefined;
      return mergeLora(w, [{ down, up, mid, scale: 0.75 }]);
    });
    expect([y.dtype, y.shape]).toEqual(["f32", stored(`lora.${name}.y`).shape]);
    expectClose(await y.read(), stored(`lora.${name}.y`).values, f32Tolerance(64));
  });
});

it("adds several changes, takes opposite ones back, and leaves the weight alone without any", async () => {
  const device = await testDevice();
  using y = device.scope(() => {
    const [w, down, up] = ["w", "down", "up"].map((k) => put(device, `lora.conv.${k}`, "f32")) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    return mergeLora(w, [
      { down, up, scale: 2 },
      { down, up, scale: -2 },
    ]);
  });
  expectClose(await y.read(), stored("lora.conv.w").values, 2e-6);
  using w = put(device, "lora.conv.w", "f16");
  using same = mergeLora(w, []);
  expect(await same.read()).toEqual(stored("lora.conv.w").values);
});

it("names factors that do not fit", async () => {
  const device = await testDevice();
  using w = put(device, "lora.linear.w", "f32");
  using down = put(device, "lora.conv.down", "f32");
  using up = put(device, "lora.linear.up", "f32");
  expect(() => mergeLora(w, [{ down, up, scale: 1 }])).toThrow(
    'do not multiply to the shape of f32[12, 20] "lora.linear.w"',
  );
});
