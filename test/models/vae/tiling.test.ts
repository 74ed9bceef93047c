// The VAE in tiles against diffusers' (test/reference/vae_tiling.py).

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../../src/gpu/device.js";
import { openFolder } from "../../../src/io/node-file.js";
import { buildModels } from "../../../src/pipelines/build.js";
import { openModel } from "../../../src/pipelines/model-files.js";
import { inTiles } from "../../../src/models/vae/tiling.js";
import type { AutoencoderKL } from "../../../src/models/vae/vae.js";
import { Tensor } from "../../../src/tensor/tensor.js";
import { expectClose } from "../../support/allclose.js";
import { testDevice } from "../../support/device.js";
import { Fixture, fixturePath } from "../../support/fixtures.js";

let device: Device;
let fixture: Fixture;
let vae: AutoencoderKL;
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("vae-tiling.safetensors");
  const files = await openModel({ model: await openFolder(fixturePath("tiny-a")) });
  const models = buildModels(device, files.configs, { storage: { weights: "f32" }, encoder: true });
  ({ vae } = models);
  await models.stores.vae.load(files.weights.vae);
  await files.close();
});
afterAll(() => vae.store.dispose());

async function run(name: string, network: (x: Tensor) => Tensor): Promise<void> {
  const x = await fixture.channelsLast(`${name}.in`);
  const y = await fixture.channelsLast(`${name}.out`);
  using input = Tensor.from(device, x.values, x.shape);
  using output = network(input);
  expect(output.shape).toEqual(y.shape);
  expectClose(await output.read(), y.values, 1e-5);
}

describe("tiles of the VAE", () => {
  it.each(["14x10", "9x8", "8x8"])("decode latents of %s as diffusers", async (size) => {
    await run(`decode-${size}`, (z) => vae.decode(z, true));
  });

  it("encode pictures as diffusers", async () => {
    await run("encode-56x40", (x) => vae.encode(x, true));
  });

  it("are another picture than the whole, and leave nothing behind", async () => {
    const used = device.memory.used;
    await expect(run("decode-14x10", (z) => vae.decode(z, false))).rejects.toThrow("relative L2 error");
    expect(device.memory.used).toBe(used);
  });

  it("refuse sides whose overlap is no whole number", () => {
    using x = Tensor.empty(device, [1, 8, 8, 4], "f32");
    expect(() => inTiles(x, { input: 5, output: 20 }, 3, (t) => t)).toThrow("tiles of 5 become 20");
  });
});
