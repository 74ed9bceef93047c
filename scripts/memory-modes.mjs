// What each way to keep the weights costs on the demo model: memory, seconds of denoising, and how close the frames are to
// those of f16 weights. Also: memory and allocations over many runs.
//   node scripts/memory-modes.mjs [frames] [runs of a growing check]
import { loadPipeline } from "../dist/src/pipelines/load.js";
import { openFile, openFolder } from "../dist/src/io/node-file.js";
import { openNodeDevice } from "../dist/src/node-device.js";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
/** JavaScript's heap and array buffers, without what nobody holds any more. */
function heap() {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const [frames, runs] = [Number(process.argv[2] ?? 16), Number(process.argv[3] ?? 0)];
const root = new URL("../models/shapes/", import.meta.url).pathname;
const device = await openNodeDevice();
const precision = device.capabilities.f16 ? "f16" : "f32";

async function load(storage) {
  const source = await openFile(`${root}lcm-lora.safetensors`);
  const files = { model: await openFolder(`${root}base`), motion: await openFolder(`${root}motion-lcm`) };
  return loadPipeline(device, { ...files, loras: [{ source, weight: 1 }], precision, ...storage });
}

async function run(pipeline, size, steps = 4, seed = 7) {
  const options = { prompt: "a red star moving left on a night sky", frames, width: size, height: size, steps, seed };
  for await (const e of pipeline.generate(options)) if (e.type === "frames") return e;
}

function psnr(a, b) {
  let error = 0;
  for (let i = 0; i < a.length; i++) if (i % 4 < 3) error += (a[i] - b[i]) ** 2;
  return 10 * Math.log10(255 ** 2 / Math.max((4 * error) / (3 * a.length), 1e-12));
}

let exact;
for (const storage of [
  { weights: "f16" },
  { weights: "int8" },
  { weights: "f16", lowMemory: true },
  { weights: "int8", lowMemory: true },
]) {
  device.trim();
  device.pool.resetPeaks();
  const { pipeline, info } = await load(storage);
  await run(pipeline, 128); // compiles
  const times = [];
  let last;
  for (let i = 0; i < 3; i++) {
    last = await run(pipeline, 128);
    times.push(last.seconds.denoise);
  }
  exact ??= last;
  const db = psnr(last.frames.rgba, exact.frames.rgba);
  console.log(
    `${JSON.stringify(storage)}: weights ${(info.weightBytes / 1e6).toFixed(1)} MB, peak ${(device.memory.peakReserved / 1e6).toFixed(1)} MB, ` +
      `denoising ${times.toSorted((a, b) => a - b)[1].toFixed(2)} s (median of 3), ${db > 100 ? "the same frames" : `${db.toFixed(1)} dB`}`,
  );
  pipeline.dispose();
}
if (runs > 0) {
  const { pipeline } = await load({ weights: precision });
  await run(pipeline, 16, 1);
  const before = { reserved: device.memory.reserved, heap: heap(), rss: process.memoryUsage().rss };
  for (let i = 0; i < runs; i++) await run(pipeline, 16, 1, i);
  const more = {
    device: device.memory.reserved - before.reserved,
    heap: (heap() - before.heap) / 1e6,
    rss: (process.memoryUsage().rss - before.rss) / 1e6,
  };
  console.log(
    `after ${runs} more runs: ${more.device} bytes more on the device, ${more.heap.toFixed(2)} MB more of JavaScript's, ${more.rss.toFixed(0)} MB more of the process`,
  );
  pipeline.dispose();
}
process.exit(0);
