import { describe, expect, it } from "vitest";
import { embedding } from "../../kernels/embedding.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-norms");

describe.each(["f32", "f16"] as const)("embedding, %s", (dtype) => {
  it.each([
    ["whole", {}],
    ["a table beyond the largest binding", { maxBinding: 2048 }],
    ["without shader-f16", { f16: false }],
  ])("agrees with torch: %s", async (_, limits) => {
    const device = await testDevice();
    const [table, positions, ids] = [stored("embedding.table"), stored("embedding.positions"), stored("embedding.ids")];
    using t = Tensor.from(device, table.values, table.shape, dtype, "table");
    using p = Tensor.from(device, positions.values, positions.shape, dtype, "positions");
    using i = Tensor.from(device, ids.values, ids.shape, "u32", "ids");
    using y = withLimits(device, limits, () => embedding(i, t, p, "f32"));
    using bare = withLimits(device, limits, () => embedding(i, t, undefined, "f32"));
    expectClose(await y.read(), stored("embedding.y").values, 1e-7);
    expectClose(await bare.read(), stored("embedding.bare").values, 1e-7);
    // What is looked up needs not be stored as it is used: half a unit in f16's last place.
    using half = withLimits(device, limits, () => embedding(i, t, p, "f16"));
    expectClose(await half.read(), stored("embedding.y").values, 2 ** -11);
  });
});

it("names operands that do not fit", async () => {
  const device = await testDevice();
  using t = Tensor.from(device, [1, 2, 3, 4], [2, 2], "f32", "table");
  using ids = Tensor.from(device, [0, 1], [2], "f32", "ids");
  expect(() => embedding(ids, t, undefined, "f32")).toThrow('embedding: ids must be u32, got f32[2] "ids"');
});
