// The studio's device, over an adapter that is Dawn's null backend but for what it says of itself.

import { afterEach, expect, it, vi } from "vitest";
import { nodeGPU } from "../../src/node-device.js";
import { openGpu } from "../../src/web/engine/gpu.js";

afterEach(() => vi.unstubAllGlobals());

it("the studio uses matrix units where the adapter lists them, which the device does not", async () => {
  const opened = async (subgroupMatrixConfigs: readonly object[]) => {
    const adapter = (await (await nodeGPU(["backend=null"])).requestAdapter())!;
    const listing = {
      features: adapter.features,
      limits: adapter.limits,
      info: { vendor: "nvidia", architecture: "", device: "", description: "a GPU", subgroupMatrixConfigs },
      requestDevice: (d: GPUDeviceDescriptor) => adapter.requestDevice(d),
    };
    vi.stubGlobal("navigator", { gpu: { requestAdapter: () => Promise.resolve(listing) } });
    const { device } = await openGpu();
    const { kind, subgroupMatrix } = device.capabilities;
    device.dispose();
    return { kind, subgroupMatrix };
  };
  const half = { M: 16, N: 16, K: 16, componentType: "f16", resultComponentType: "f32" };
  expect(await opened([{ ...half, N: 8 }, half])).toEqual({ kind: "gpu", subgroupMatrix: true });
  expect(await opened([{ ...half, N: 8 }])).toEqual({ kind: "gpu", subgroupMatrix: false });
});
