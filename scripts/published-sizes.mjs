// A whole clip by Stable Diffusion 1.5 and AnimateLCM at their published sizes, with made-up weights: how long each stage takes
// on this machine's adapter, without 3 GB of files. The pictures mean nothing; they are checked to be finite and not flat.
//   npm run published-sizes -- [f32] [tune] [profile] [frames=16] [size=512] [steps=4] [runs=2]
// `tune` measures kernels first; `profile` makes one clip more and tells the time of each kind of kernel by stage.
import { CLIPTokenizer } from "../dist/src/models/clip/tokenizer.js";
import { openNodeDevice } from "../dist/src/node-device.js";
import { AnimateDiffPipeline } from "../dist/src/pipelines/animatediff.js";
import { buildModels, SD15_ANIMATELCM } from "../dist/src/pipelines/build.js";
import { shadersOf } from "../dist/src/pipelines/plan.js";
import { tunePipeline } from "../dist/src/pipelines/tune.js";
import { toHalfBits } from "../dist/src/tensor/dtype.js";

const args = process.argv.slice(2);
const wrong = args.find((a) => !/^(f32|tune|profile|(frames|size|steps|runs)=\d+)$/.test(a));
if (wrong !== undefined) throw new Error(`published-sizes: no option ${wrong}`);
const number = (name, usual) => Number(args.find((a) => a.startsWith(`${name}=`))?.slice(name.length + 1) ?? usual);
const now = () => performance.now() / 1e3;
const seconds = (n) => `${n.toFixed(2)} s`;
const mib = (n) => `${(n / 2 ** 20).toFixed(0)} MiB`;

const NOISE = 2 ** 18 + 7;
const noise = new Float32Array(NOISE);
for (let i = 0, s = 1; i < NOISE; i++) {
  s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
  noise[i] = s / 2 ** 31 - 1;
}
const blocks = new Map();
/** The noise in f16, `shift + gain · noise`. */
function block(gain, shift) {
  const key = `${gain} ${shift}`;
  const known = blocks.get(key) ?? Uint16Array.from(noise, (v) => toHalfBits(shift + gain * v));
  blocks.set(key, known);
  return known;
}

/** Weights for a store: matrices of unit gain, norms around 1. */
function madeUp(store) {
  const shapes = new Map([...store.wanted()].map(({ name, shape }) => [name, shape]));
  let at = 0;
  const read = async (name) => {
    const shape = shapes.get(name);
    const n = shape.reduce((a, b) => a * b, 1);
    const norm = name.includes("norm") && name.endsWith("weight");
    const from = shape.length > 1 ? block(Math.sqrt((3 * shape[0]) / n), 0) : norm ? block(0.2, 1) : block(0.1, 0);
    const values = new Uint16Array(n);
    for (let i = 0; i < n;) {
      const part = from.subarray(at, at + n - i);
      values.set(part, i);
      i += part.length;
      at = (at + part.length + 997) % NOISE;
    }
    return new Uint8Array(values.buffer);
  };
  return {
    name: "made-up weights",
    entries: () => [...shapes].map(([name, shape]) => ({ name, shape, dtype: "F16" })),
    read,
  };
}

const device = await openNodeDevice();
const { capabilities: c } = device;
const precision = args.includes("f32") || !c.f16 ? "f32" : "f16";
console.log(`${c.name}, ${precision}${c.subgroupMatrix ? ", tensor cores" : ""}`);
const size = number("size", 512);
const options = { prompt: "a red star moving left", frames: number("frames", 16), width: size, height: size };
Object.assign(options, { steps: number("steps", 4), guidance: 1, seed: 1 });
const storage = { weights: precision };
const tokenizer = await CLIPTokenizer.openai();

if (args.includes("tune")) {
  const start = now();
  const results = await tunePipeline(device, { model: "sd15", precision, storage }, options);
  const others = results.filter((r) => r.way !== Object.keys(r.ms)[0]);
  console.log(
    `tuned in ${seconds(now() - start)}: ${results.length} kinds of layer, ${others.length} not by the table`,
  );
  for (const { site, way, ms } of others)
    console.log(`  ${site}: ${way} ${ms[way].toFixed(3)} ms for ${Object.values(ms)[0].toFixed(3)}`);
}

let start = now();
device.compileAhead(shadersOf(device, SD15_ANIMATELCM, options, { precision, storage, tokenizer }));
const { text, unet, vae, maxFrames, stores } = buildModels(device, SD15_ANIMATELCM, { storage });
for (const store of [stores.text, stores.vae, stores.unet]) {
  await store.load(madeUp(store));
  await store.rest();
  device.trim();
}
console.log(`loaded in ${seconds(now() - start)}, ${mib(device.memory.used)} on the device`);
const networks = {
  text,
  unet,
  vae,
  maxFrames,
  tokenizer,
  scheduler: {},
  motionNorm: "joint",
  dispose: () => undefined,
};
const pipeline = new AnimateDiffPipeline({ device, dtype: precision, ...networks });

/** One clip; `stage` hears where the run is. */
async function clip(name, stage = () => undefined) {
  device.pool.resetPeaks();
  device.resetCounts();
  start = now();
  const steps = [];
  let last;
  for await (const event of pipeline.generate(options)) {
    if (event.type === "step") {
      steps.push(event.seconds);
      if (steps.length === options.steps) stage("decode");
    } else if (event.type === "frames") last = event;
  }
  const whole = now() - start;
  if (last.latents.some((v) => !Number.isFinite(v))) throw new Error("latents are not finite");
  if (new Set(last.frames.rgba).size < 16) throw new Error("the frames are flat");
  const { dispatches, flops } = device.counts;
  console.log(
    `${name}: ${seconds(whole)}; text ${seconds(last.seconds.text)}, steps ${steps.map(seconds).join(" ")}, decode ${seconds(last.seconds.decode)}; ` +
      `${dispatches} dispatches, ${(flops / 1e12).toFixed(1)} TFLOP, at most ${mib(device.memory.peakReserved)}`,
  );
}

for (let i = 1; i <= number("runs", 2); i++) await clip(`clip ${i}`);

if (args.includes("profile")) {
  const profilers = new Map();
  const stage = (name) => profilers.set(name, (device.profiler = device.createProfiler()));
  for (const [method, name] of [
    ["recordText", "text"],
    ["denoiser", "denoise"],
  ]) {
    const own = pipeline[method].bind(pipeline);
    pipeline[method] = (...given) => (stage(name), own(...given));
  }
  await clip("profiled", stage);
  device.profiler = undefined;
  for (const [name, profiler] of profilers) {
    const kinds = new Map();
    for (const { label, code, ms, flops, bytes, calls } of profiler.entries) {
      const toText = label.startsWith("attention") && label.includes("attn2") ? " to the text" : "";
      const kind = `${label.split(" ")[0]}${toText}${code.includes("subgroupMatrix") ? ", tensor cores" : ""}`;
      const k = kinds.get(kind) ?? { ms: 0, flops: 0, bytes: 0, calls: 0 };
      kinds.set(kind, { ms: k.ms + ms, flops: k.flops + flops, bytes: k.bytes + bytes, calls: k.calls + calls });
    }
    console.log(name);
    for (const [kind, k] of [...kinds].sort(([, a], [, b]) => b.ms - a.ms))
      console.log(
        `  ${kind.padEnd(36)}${k.ms.toFixed(2).padStart(10)} ms${String(k.calls).padStart(6)} dispatches` +
          `${(k.flops / k.ms / 1e9).toFixed(1).padStart(8)} TFLOPS${(k.bytes / k.ms / 1e6).toFixed(0).padStart(7)} GB/s`,
      );
  }
}
process.exit(0);
