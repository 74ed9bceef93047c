import { expect, it } from "vitest";
import { nodeGPU } from "../../src/node-device.js";

it("switches of Dawn that are asked for count beside those that always are", async () => {
  const hasMatrixUnits = async (...flags: string[]) => {
    const adapter = await (await nodeGPU(["backend=null", ...flags])).requestAdapter();
    return adapter!.features.has("chromium-experimental-subgroup-matrix" as GPUFeatureName);
  };
  expect(await hasMatrixUnits()).toBe(true);
  expect(await hasMatrixUnits("enable-dawn-features=skip_validation")).toBe(true);
  expect(await hasMatrixUnits("disable-dawn-features=allow_unsafe_apis")).toBe(false);
});
