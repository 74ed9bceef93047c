import { it } from "vitest";
import { groupNorm } from "../../kernels/group-norm.js";
import { layerNorm } from "../../kernels/layer-norm.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";
import { relativeL2 } from "../support/allclose.js";
it("times", async () => {
  const device = await testDevice();
  console.log(device.capabilities);
  const n = 16 * 1024 * 320;
  const vals = Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898) * 1.5);
  for (const dtype of ["f32", "f16"] as const) {
    using x = Tensor.from(device, vals, [16, 32, 32, 320], dtype);
    using w = Tensor.from(device, vals.slice(7, 327), [320]);
    using b = Tensor.from(device, vals.slice(77, 397), [320]);
    for (const [name, op] of [["group", (variant: "plain" | "cpu" | "gpu") => groupNorm(x, { groups: 32, eps: 1e-5, weight: w, bias: b, variant })],
      ["layer", (variant: "plain" | "cpu" | "gpu") => layerNorm(x, { eps: 1e-5, weight: w, bias: b, variant })]] as const) {
      let ref: Float32Array | undefined;
      for (const variant of ["cpu"] as const) {
        const t0 = performance.now(); const u0 = process.cpuUsage();
        { using y = op(variant); const v = await y.read(); ref ??= v; const u = process.cpuUsage(u0); console.log(name, dtype, variant, "first", (performance.now() - t0).toFixed(0), "cpu", ((u.user+u.system)/1000).toFixed(0), "l2", relativeL2(v, ref)); }
        const ts: number[] = [];
        for (let i = 0; i < 7; i++) { const t = performance.now(); { using y = op(variant); await device.drain(); } ts.push(performance.now() - t); }
        ts.sort((a, b) => a - b);
        console.log("   ", name, dtype, variant, "min", ts[0]!.toFixed(1), "med", ts[3]!.toFixed(1));
        device.profiler = undefined;
        const p = device.createProfiler(); device.profiler = p; { using y = op(variant); await device.drain(); } device.profiler = undefined;
        console.log("      ", p.entries.map((e) => `${e.label} ${e.ms.toFixed(1)}`).join(", "));
      }
    }
  }
});
