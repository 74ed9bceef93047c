// One evaluation of a narrow UNet of Stable Diffusion's shape with motion modules: width 64·(1, 2, 4, 4), 16 frames of
// 16×16 latents, 55.7 million parameters. Checked against diffusers' UNetMotionModel with the same made-up weights.

import { Device } from "../src/gpu/device.js";
import { parseMotionConfig, parseUNetConfig, SD15_UNET } from "../src/models/unet/config.js";
import { UNetMotionModel } from "../src/models/unet/unet.js";
import { WeightStore, type WeightSource } from "../src/nn/weights.js";
import { elements } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase } from "./case.js";
import { noise } from "./operands.js";
import { SAMPLES, STRIDE } from "./unet-samples.js";

export const FRAMES = 16;
export const SIZE = 16;
const CONFIG = parseUNetConfig(
  { ...SD15_UNET, sample_size: SIZE, block_out_channels: [64, 128, 256, 256] },
  "narrow UNet",
);

/** Values as test/reference/unet_bench.py makes them: matrices of unit gain, norms around 1. */
export function madeUpWeight(name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  let seed = 0;
  for (let i = 0; i < name.length; i++) seed += name.charCodeAt(i);
  const values = noise(elements(shape), seed);
  if (shape.length > 1) {
    const gain = Math.sqrt(3 / elements(shape.slice(1)));
    return values.map((v) => v * gain);
  }
  return name.includes("norm") && name.endsWith("weight") ? values.map((v) => 1 + 0.2 * v) : values.map((v) => 0.1 * v);
}

function source(store: WeightStore): WeightSource {
  const shapes = new Map([...store.wanted()].map(({ name, shape }) => [name, shape]));
  return {
    name: "made-up weights",
    entries: () => [...shapes].map(([name, shape]) => ({ name, shape, dtype: "F32" })),
    read: (name) => Promise.resolve(new Uint8Array(madeUpWeight(name, shapes.get(name)!).buffer)),
  };
}

/** The network on `device`, where its weights come from, and one evaluation. */
export function buildNarrowUNet(device: Device, dtype: "f32" | "f16") {
  const store = new WeightStore(device, dtype);
  const unet = new UNetMotionModel(
    store.root,
    CONFIG,
    parseMotionConfig({ block_out_channels: CONFIG.blockOutChannels }, CONFIG, "narrow motion"),
  );
  const type = dtype === "f16" && device.capabilities.f16 ? "f16" : "f32";
  const x = Tensor.from(device, noise(FRAMES * SIZE * SIZE * 4), [FRAMES, SIZE, SIZE, 4], type, "latents");
  const text = Tensor.from(device, noise(77 * 768, 2), [1, 77, 768], type, "text");
  const run = () =>
    device.scope(() =>
      unet.forward(x, {
        time: unet.timeEmbeddings(device, [999], type),
        text: unet.prepareText(text),
        clip: { frames: FRAMES, norm: "joint" },
      }),
    );
  return { store, source: () => source(store), run };
}

/** What loading and one evaluation compile on a device. */
export function narrowShaders({ capabilities, tuning }: Device, dtype: "f32" | "f16"): ReadonlySet<string> {
  using dry = Device.dry(capabilities);
  dry.tuning.adopt(tuning.choices);
  const { store, run } = buildNarrowUNet(dry, dtype);
  store.pretend();
  run();
  return dry.counts.codes;
}

export const cases: BenchCase[] = [
  {
    name: "unet-narrow",
    setup(device, dtype) {
      const { store, run } = buildNarrowUNet(device, dtype);
      using counting = Device.dry(device.capabilities);
      const plan = buildNarrowUNet(counting, dtype);
      plan.store.pretend();
      counting.resetCounts();
      plan.run();
      const { flops, bytes } = counting.counts;
      return {
        run,
        ready: () => store.load(source(store)),
        pretend: () => store.pretend(),
        dispose: () => store.dispose(),
        expected: () => Promise.resolve(SAMPLES),
        sample: (values) => values.filter((_, i) => i % STRIDE === 0),
        flops,
        bytes,
        tolerance: dtype === "f32" ? 1e-4 : 2e-2,
      };
    },
  },
];
