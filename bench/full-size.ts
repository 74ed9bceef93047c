// `npm run full-size -- FOLDER [form]`: loads Stable Diffusion 1.5 with AnimateLCM's motion modules at their published sizes, from
// each form that test/reference/full_size.py wrote to FOLDER, and runs one UNet evaluation. Prints how fast the bytes came,
// what the host held (on Linux), and how far the result is from PyTorch's.

import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { openFile, openFolder } from "../src/io/node-file.js";
import { openSafetensors } from "../src/io/safetensors.js";
import type { Device } from "../src/gpu/device.js";
import { openNodeDevice } from "../src/node-device.js";
import { loadPipeline, type LoadedPipeline, type LoadOptions } from "../src/pipelines/load.js";
import { Tensor } from "../src/tensor/tensor.js";

interface Form {
  readonly name: string;
  readonly model: string;
  readonly motion: string;
}

const FORMS: readonly Form[] = [
  { name: "diffusers folder, f16", model: "diffusers", motion: "motion" },
  { name: "one safetensors file, f16", model: "sd15-f16.safetensors", motion: "motion" },
  { name: "torch .ckpt files, f32", model: "sd15-f32.ckpt", motion: "motion-f32.ckpt" },
];

/** Memory of the process that is not the device's, sampled: a software adapter's lies in the same process, as shared memory. */
class HostMemory {
  readonly #start = this.#now();
  readonly #timer = setInterval(() => this.sample(), 20);
  /** Highest above the start, in bytes. */
  peak = 0;

  sample(): void {
    this.peak = Math.max(this.peak, this.#now() - this.#start);
  }

  stop(): void {
    this.sample();
    clearInterval(this.#timer);
  }

  #now(): number {
    const [, shared] = /RssShmem:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
    return process.memoryUsage.rss() - Number(shared ?? 0) * 1024;
  }
}

async function load(
  device: Device,
  folder: string,
  form: Form,
  more: Partial<LoadOptions> = {},
): Promise<LoadedPipeline> {
  const open = async (path: string) => (statSync(path).isDirectory() ? openFolder(path) : openFile(path));
  const [model, motion] = [await open(join(folder, form.model)), await open(join(folder, form.motion))];
  try {
    return await loadPipeline(device, { model, motion, precision: "f16", ...more });
  } finally {
    for (const source of [model, motion]) if ("close" in source) await source.close?.();
  }
}

/** ‖ours − PyTorch's‖ / ‖PyTorch's‖ of one evaluation at timestep 499, one frame of 256 × 256, and its seconds. */
async function evaluate({ parts }: LoadedPipeline["pipeline"], folder: string) {
  const file = await openSafetensors(await openFile(join(folder, "reference.safetensors")));
  const values = async (name: string) => new Float32Array((await file.read(name, "f32")).slice().buffer);
  const [latents, states, expected] = [await values("latents"), await values("text"), await values("noise")];
  await file.close();
  const { device, unet, dtype } = parts;
  const plane = latents.length / 4;
  const last = (x: Float32Array) =>
    Float32Array.from({ length: x.length }, (_, i) => x[(i % 4) * plane + Math.floor(i / 4)]!);
  const side = Math.sqrt(plane);
  const start = performance.now();
  const y = device.scope(() =>
    unet.forward(Tensor.from(device, last(latents), [1, side, side, 4], dtype, "latents"), {
      time: unet.timeEmbeddings(device, [499], dtype),
      text: unet.prepareText(Tensor.from(device, states, [1, 77, 768], dtype, "text")),
      clip: { frames: 1, norm: "joint" },
    }),
  );
  const found = await y.read();
  y.dispose();
  const wanted = last(expected);
  const norm = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((n, v) => n + v * v, 0));
  return {
    error: norm(wanted.map((v, i) => v - found[i]!)) / norm(wanted),
    seconds: (performance.now() - start) / 1000,
  };
}

/** Stops a load half way; what stays on the device then. */
async function cancelled(device: Device, folder: string, form: Form): Promise<{ ms: number; bytes: number }> {
  const stop = new AbortController();
  let asked = 0;
  const before = device.memory.used;
  const loading = load(device, folder, form, {
    signal: stop.signal,
    onProgress: (p) => {
      if (stop.signal.aborted || p.loadedBytes < p.totalBytes / 2) return;
      asked = performance.now();
      stop.abort(new Error("enough"));
    },
  });
  await loading.then(
    () => {
      throw new Error("the load was not stopped");
    },
    () => undefined,
  );
  return { ms: performance.now() - asked, bytes: device.memory.used - before };
}

async function main(folder: string | undefined, only = ""): Promise<void> {
  if (folder === undefined || !existsSync(join(folder, "reference.safetensors")))
    throw new Error("give the folder that `python test/reference/full_size.py FOLDER` wrote");
  const mib = (n: number) => `${(n / 2 ** 20).toFixed(0)} MiB`;
  for (const form of FORMS.filter((f) => f.name.startsWith(only)))
    for (const attempt of ["first", "again"]) {
      using device = await openNodeDevice();
      const memory = new HostMemory();
      const start = performance.now();
      let bytes = 0;
      const loaded = await load(device, folder, form, { onProgress: (p) => void (bytes = p.totalBytes) });
      const seconds = (performance.now() - start) / 1000;
      memory.stop();
      using pipeline = loaded.pipeline;
      const rate = (bytes / 1e9 / seconds).toFixed(2);
      const line = `${form.name}, ${attempt}: ${(bytes / 1e9).toFixed(2)} GB in ${seconds.toFixed(1)} s, ${rate} GB/s, host ${mib(memory.peak)} above its start, ${mib(loaded.info.weightBytes)} of weights`;
      if (attempt === "first") console.log(line);
      else {
        const { error, seconds: call } = await evaluate(pipeline, folder);
        console.log(`${line}; UNet call ${call.toFixed(1)} s, relative L2 to PyTorch ${error.toExponential(1)}`);
      }
    }
  using device = await openNodeDevice();
  const { ms, bytes } = await cancelled(device, folder, FORMS[0]!);
  console.log(`cancelled half way: stopped after ${ms.toFixed(0)} ms, ${mib(bytes)} left on the device`);
}

await main(process.argv[2], process.argv[3]);
