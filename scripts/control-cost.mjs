// What control costs beside plain generation.
//   node scripts/control-cost.mjs            the bundled model on this adapter: seconds (least of 3 runs) and memory, in one process
//   node scripts/control-cost.mjs plan       Stable Diffusion 1.5 at 512 × 512: arithmetic and memory, planned
// The bundled model has no T2I-Adapter and no SparseCtrl: those are random weights of its sizes, which cost the same.

import { fileURLToPath } from "node:url";
import { loadPipeline, planPipeline } from "../dist/src/index.js";
import { T2IAdapterModel } from "../dist/src/models/adapters/t2i-adapter.js";
import { parseControlNetConfig, SD15_CONTROLNET } from "../dist/src/models/controlnet/config.js";
import { ControlNetModel } from "../dist/src/models/controlnet/controlnet.js";
import { loadControl } from "../dist/src/pipelines/control/network.js";
import { openFile, openFolder, openNodeDevice } from "../dist/src/node.js";
import { WeightStore } from "../dist/src/nn/weights.js";

/** A T2I-Adapter of these widths, without its weights' values. */
function adapterOf(device, dtype, channels, form) {
  const config = { form, channels, blocks: form === "light" ? 4 : 2, pictureChannels: 3, factor: 8, inChannels: 192 };
  return networkOf(device, dtype, "t2i-adapter", (root) => new T2IAdapterModel(root, config));
}

function sd15Network(device, dtype, json) {
  const config = parseControlNetConfig({ ...SD15_CONTROLNET, ...json }, "control");
  return networkOf(device, dtype, config.kind, (root) => new ControlNetModel(root, config));
}

function networkOf(device, dtype, kind, build) {
  const store = new WeightStore(device, dtype, { resting: kind === "t2i-adapter" });
  const model = build(store.root);
  store.pretend();
  const [awake, dispose] = [(body) => store.awake(body), () => store.dispose()];
  return { kind, name: kind, model, dtype, weightBytes: store.bytes, awake, dispose };
}

const text = (colour) => `a ${colour} star moving right on a night sky`;
const thirds = ["green", "blue", "white"].map((colour, i) => ({ prompt: text(colour), area: [i / 3, 0, 1 / 3, 1] }));
const picture = (side, count) => ({
  width: side,
  height: side,
  count,
  rgba: new Uint8Array(side * side * 4 * count).fill(90),
});
const mib = (n) => `${(n / 2 ** 20).toFixed(1)} MiB`;

async function measure() {
  const root = fileURLToPath(new URL("../models/shapes/", import.meta.url));
  const device = await openNodeDevice();
  const precision = device.capabilities.f16 ? "f16" : "f32";
  const { pipeline } = await loadPipeline(device, {
    model: await openFolder(`${root}base`),
    motion: await openFolder(`${root}motion-lcm`),
    loras: [{ source: await openFile(`${root}lcm-lora.safetensors`), weight: 1 }],
    encoder: true,
    precision,
  });
  const controlnet = await loadControl(device, await openFolder(`${root}control-blob`), { precision });
  const t2i = adapterOf(device, precision, [64, 96, 128], "full");
  const frames = picture(128, 16);
  const modes = {
    plain: {},
    ControlNet: { controls: [{ network: controlnet, frames }] },
    "ControlNet, first half of the steps": { controls: [{ network: controlnet, frames, end: 0.5 }] },
    "T2I-Adapter (random weights)": { controls: [{ network: t2i, frames, scale: 1e-3 }] },
    "three regions": { regions: thirds },
  };
  const times = new Map(Object.keys(modes).map((name) => [name, []]));
  const facts = new Map();
  for (let round = 0; round < 4; round++)
    for (const [name, inputs] of Object.entries(modes)) {
      device.trim();
      device.pool.resetPeaks();
      device.resetCounts();
      const start = performance.now();
      // The first round compiles.
      for await (const _ of pipeline.generate({
        prompt: text("red"),
        frames: 16,
        steps: round === 0 ? 2 : 4,
        ...inputs,
      }));
      if (round > 0) times.get(name).push((performance.now() - start) / 1000);
      facts.set(name, { flops: device.counts.flops, peak: device.memory.peakReserved });
    }
  const least = (name) => Math.min(...times.get(name));
  const plain = { seconds: least("plain"), ...facts.get("plain") };
  console.log(
    `${device.capabilities.name}, ${precision}; the model's and the networks' weights take ${mib(device.memory.used)}`,
  );
  console.log("| | seconds | GFLOP | peak memory |\n|---|---|---|---|");
  for (const [name, { flops, peak }] of facts) {
    const seconds = least(name);
    const more = (a, b) => (name === "plain" ? "" : ` (${a >= b ? "+" : ""}${((a / b - 1) * 100).toFixed(0)} %)`);
    console.log(
      `| ${name} | ${seconds.toFixed(2)}${more(seconds, plain.seconds)} | ${(flops / 1e9).toFixed(1)}${more(flops, plain.flops)} | ${mib(peak)} |`,
    );
  }
  for (const owned of [controlnet, t2i, pipeline]) owned.dispose();
  device.dispose();
}

async function plan() {
  const run = { prompt: "", frames: 16, width: 512, height: 512 };
  const dtype = "f16";
  const frames = picture(512, 16);
  const control = (network) => ({ controls: [{ network, frames }] });
  const widths = [320, 640, 1280, 1280];
  const sparse = {
    _class_name: "SparseControlNetModel",
    down_block_types: [
      "CrossAttnDownBlockMotion",
      "CrossAttnDownBlockMotion",
      "CrossAttnDownBlockMotion",
      "DownBlockMotion",
    ],
    concat_conditioning_mask: true,
    motion_num_attention_heads: 8,
  };
  const third = (i) => ({ prompt: "", area: [i / 3, 0, 1 / 3, 1] });
  const modes = {
    plain: undefined,
    ControlNet: (d) => control(sd15Network(d, dtype, {})),
    "two ControlNets": (d) => ({ controls: [1, 2].map(() => control(sd15Network(d, dtype, {})).controls[0]) }),
    "SparseCtrl (RGB), one picture": (d) => ({
      controls: [{ network: sd15Network(d, dtype, sparse), frames: picture(512, 1), at: [0] }],
    }),
    "T2I-Adapter, full": (d) => control(adapterOf(d, dtype, widths, "full")),
    "T2I-Adapter, light": (d) => control(adapterOf(d, dtype, widths, "light")),
    "one region": () => ({ regions: [{ prompt: "x", area: [0, 0, 0.5, 1] }] }),
    "three regions": () => ({ regions: [0, 1, 2].map((i) => ({ ...third(i), prompt: "x" })) }),
  };
  console.log("| | TFLOP | peak memory | weights |\n|---|---|---|---|");
  let plain;
  for (const [name, load] of Object.entries(modes)) {
    const inputs = load && {
      encoder: name !== "plain" && !name.includes("region"),
      inputs: async (p) => load(p.parts.device),
    };
    const result = await planPipeline({}, { model: "sd15", precision: dtype }, run, inputs);
    plain ??= result;
    const more = name === "plain" ? "" : ` (+${((result.flops / plain.flops - 1) * 100).toFixed(1)} %)`;
    console.log(
      `| ${name} | ${(result.flops / 1e12).toFixed(1)}${more} | ${(result.peakBytes / 2 ** 30).toFixed(2)} GiB | ${(result.weightBytes / 2 ** 30).toFixed(2)} GiB |`,
    );
  }
}

await (process.argv[2] === "plan" ? plan() : measure());
