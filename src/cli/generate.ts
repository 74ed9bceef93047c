// kineograph generate: prompt → animation file, with progress, timings and the recipe inside.

import type { Device } from "../gpu/device.js";
import type { DeviceLostError } from "../gpu/errors.js";
import type { Choices } from "../gpu/tuning.js";
import type { Frames, FramesEvent, StepEvent } from "../pipelines/animatediff.js";
import type { VideoSource } from "../io/video.js";
import { loadPipeline, type LoadedPipeline, type LoadOptions } from "../pipelines/load.js";
import { generateRecovering } from "../pipelines/recovery.js";
import type { RunState } from "../pipelines/run-state.js";
import { openAdapter } from "./adapters.js";
import { checkControls, controlInputs, ControlNetworks } from "./controls.js";
import { follow } from "./follow.js";
import { fitted } from "./fit.js";
import { bytes, count, transfer } from "./format.js";
import { interruptible } from "./interrupt.js";
import { Keeper } from "./keeper.js";
import type { JobArguments } from "./options-jobs.js";
import { UsageError } from "./failure.js";
import { generateOptions, type RunArguments } from "./options.js";
import { storageOf } from "./options-memory.js";
import { checkWritable, outputTarget, writeLatents, type OutputTarget } from "./output.js";
import { openInitVideo, readInitVideo, videoOptions } from "./options-video.js";
import { readsPictures } from "./pictures.js";
import { recipeOf } from "./recipe.js";
import { modelPaths, openFileOf, openFolderOf, openPath, type Fetching, type ModelPaths } from "./sources.js";
import { Terminal } from "./terminal.js";
import { tuneFor } from "./tuning.js";

/** What `--json` prints. */
export interface Report {
  readonly output: string;
  readonly seed: number | string;
  readonly steps: number;
  readonly timesteps: readonly number[];
  readonly frames: number;
  readonly width: number;
  readonly height: number;
  readonly adapter: string;
  readonly seconds: {
    readonly load: number;
    readonly text: number;
    /** Encoding of --init-video. */
    readonly video?: number;
    readonly denoise: number;
    readonly decode: number;
    readonly encode: number;
    readonly total: number;
  };
  /** On the device; and of the process as a whole, which on a software adapter holds the device's too. */
  readonly memory: { readonly peakBytes: number; readonly weightBytes: number; readonly processPeakBytes: number };
  readonly dispatches: number;
  readonly pipelines: number;
  readonly warnings: readonly string[];
}

/** Previews are as large as the latents; so many times they can be looked at. */
const PREVIEW_SCALE = 4;

export async function generate(prompt: string | undefined, a: RunArguments & JobArguments): Promise<void> {
  const { prompts } = a;
  if (prompts !== undefined && a.resume !== undefined)
    throw new UsageError("--resume goes on with one run; the jobs of --prompts go on by themselves");
  if (prompts !== undefined && prompt === undefined) return (await import("./jobs.js")).generateMany({ ...a, prompts });
  if (prompt === undefined || prompts !== undefined)
    throw new UsageError("generate takes a prompt, or --prompts <file>; one of them");
  if (a.shard !== undefined)
    throw new UsageError("--shard spreads the jobs of --prompts, and has no effect without it");
  const terminal = new Terminal({ quiet: a.quiet });
  const { report } = await produce(prompt, a, [a.output ?? `kineograph-${a.seed ?? 0}.png`], terminal);
  if (a.json) console.log(JSON.stringify(report));
  else {
    if (a.verbose)
      terminal.say(
        `${count(report.dispatches)} dispatches, ${report.pipelines} pipelines, at most ${bytes(report.memory.peakBytes)} on the device`,
      );
    terminal.done("total", report.seconds.total);
    console.log(report.output);
  }
}

/** One run, written to each of `outputs`; `report.output` is the first. */
export async function produce(
  prompt: string,
  asked: RunArguments,
  outputs: readonly string[],
  terminal: Terminal,
): Promise<Produced> {
  const start = performance.now();
  const prepared = await prepare(asked, outputs);
  return interruptible(async (signal) => {
    using device = await openAdapter(asked.device);
    terminal.say(`adapter   ${device.capabilities.name}`);
    const { run: a, changes } = await fitted(asked, device.capabilities);
    if (changes.length > 0) terminal.say(`memory    ${changes.join(" and ")}, so that it fits`);
    try {
      using session = await openSession(device, a, terminal, signal);
      return await perform(session, prompt, a, prepared, terminal, signal, start);
    } finally {
      terminal.clear();
    }
  });
}

/** A run's report and the paths that were written. */
export interface Produced {
  readonly report: Report;
  readonly written: readonly string[];
}

/** What a run reads and writes, opened before minutes of work. */
export interface Prepared {
  readonly targets: readonly OutputTarget[];
  readonly video: VideoSource | undefined;
  /** Where --preview is written. */
  readonly preview: OutputTarget | undefined;
  readonly keeper: Keeper;
}

/** @throws UsageError, OutputError or PictureError for what cannot be read or written */
export async function prepare(a: RunArguments, outputs: readonly string[]): Promise<Prepared> {
  const targets: OutputTarget[] = [];
  for (const output of outputs) targets.push(await outputTarget(output));
  if (a.latentsOut !== undefined) await checkWritable(a.latentsOut);
  await checkControls(a);
  return {
    targets,
    video: await openInitVideo(a),
    preview: a.preview === undefined ? undefined : await outputTarget(a.preview),
    keeper: await Keeper.open(a.resume, outputs[0]!),
  };
}

/** A model that is loaded, for one run after another. */
export interface Session extends LoadedPipeline, Disposable {
  readonly device: Device;
  readonly paths: ModelPaths;
  /** Seconds that loading took. */
  readonly seconds: number;
  readonly controls: ControlNetworks;
}

/** Chooses the kernels of a run and loads its model; `encoder`: with the VAE's, for this run or others of the session. */
export async function openSession(
  device: Device,
  a: RunArguments,
  terminal: Terminal,
  signal: AbortSignal,
  encoder = readsPictures(a),
): Promise<Session> {
  await tuneFor(device, a, terminal, signal);
  const start = performance.now();
  const paths = modelPaths(a);
  const { pipeline, info } = await load(device, paths, a, encoder, terminal, signal);
  for (const warning of info.warnings) terminal.warn(warning);
  const time = elapsed(start);
  terminal.done("load", time, `${bytes(info.weightBytes)} of weights`);
  const precision = precisionOf(a, device);
  const controls = new ControlNetworks(device, precision, { terminal, signal, half: precision === "f16" });
  const dispose = () => {
    controls[Symbol.dispose]();
    pipeline.dispose();
  };
  return { device, paths, pipeline, info, seconds: time, controls, [Symbol.dispose]: dispose };
}

/** One run of a loaded model, to its frames; where it goes on with another, from that one's state. */
export async function render(
  session: Session,
  prompt: string,
  a: RunArguments,
  source: VideoSource | undefined,
  terminal: Terminal,
  signal: AbortSignal,
  {
    resume,
    onStep,
    reopen,
  }: {
    readonly resume?: RunState | undefined;
    readonly onStep?: (event: StepEvent) => Promise<void>;
    /** Where the device is lost: another one, with the same model. */
    readonly reopen?: (lost: DeviceLostError, stepsDone: number) => Promise<Session>;
  } = {},
): Promise<FramesEvent> {
  const { pipeline } = session;
  const options = generateOptions(prompt, a, signal);
  const video = source && (await readInitVideo(source, a, pipeline.settle(options), signal));
  for (const note of video?.notes ?? []) terminal.warn(note);
  const started = { ...options, ...videoOptions(video, a) };
  const size = pipeline.settle(started);
  const inputs = (on: Session) => controlInputs(a, size, on.controls, on.pipeline, { terminal, signal, half: false });
  const run = { ...started, ...(await inputs(session)), ...(resume && { resume }) };
  const events = reopen
    ? generateRecovering(pipeline, run, async (lost, done) => {
        const again = await reopen(lost, done);
        return { pipeline: again.pipeline, inputs: await inputs(again) };
      })
    : pipeline.generate(run);
  const result = await follow(events, terminal, onStep);
  for (const warning of result.warnings) terminal.warn(warning);
  return result;
}

/** One run of a loaded model, written; `start` is when the work for it began. */
export async function perform(
  session: Session,
  prompt: string,
  a: RunArguments,
  { targets, video, preview, keeper }: Prepared,
  terminal: Terminal,
  signal: AbortSignal,
  start: number,
): Promise<Produced> {
  const { paths, info } = session;
  session.device.resetCounts();
  if (a.resume !== undefined) terminal.say(`resume    ${keeper.beginning}`);
  const onStep = async (event: StepEvent) => {
    await keeper.step(event);
    if (preview) await preview.write(enlarged(await event.preview(), PREVIEW_SCALE), { fps: a.fps, signal });
  };
  const second = new SecondDevice();
  const reopen = async (lost: DeviceLostError, done: number) => {
    terminal.warn(`${lost.message.replace(/;.*/, "")}; opening it again, to go on after step ${done}`);
    return second.open(session.device.tuning.choices, a, terminal, signal);
  };
  using _ = second;
  const watched = { resume: keeper.resumed, onStep, reopen };
  const result = await render(session, prompt, a, video, terminal, signal, watched).catch(async (error: unknown) => {
    throw await keeper.stopped(error);
  });
  const device = second.session?.device ?? session.device;
  const encodeStart = performance.now();
  terminal.refresh("encode", 0);
  const recipe = recipeOf({ result, a, paths, info, precision: precisionOf(a, device) });
  const written: string[] = [];
  for (const target of targets) written.push(await target.write(result.frames, { fps: a.fps, recipe, signal }));
  if (a.latentsOut !== undefined) await writeLatents(a.latentsOut, result, signal);
  await keeper.done();
  const encodeSeconds = elapsed(encodeStart);
  terminal.done("encode", encodeSeconds);
  const output = written[0] ?? "";
  return {
    report: reportOf({ output, result, loadSeconds: session.seconds, encodeSeconds, start, device, info }),
    written,
  };
}

/** What a run goes on with when its device is lost. */
class SecondDevice implements Disposable {
  session: Session | undefined;
  #device: Device | undefined;

  /** Opens it with the kernels of the first, to go on to the same bits. */
  async open(choices: Choices, a: RunArguments, terminal: Terminal, signal: AbortSignal): Promise<Session> {
    this.#device = await openAdapter(a.device);
    this.#device.tuning.adopt(choices);
    return (this.session = await openSession(this.#device, { ...a, tune: false }, terminal, signal));
  }

  [Symbol.dispose](): void {
    this.session?.[Symbol.dispose]();
    this.#device?.dispose();
  }
}

/** Storage of weights and activations: what was asked for, else f16 where the adapter has it. */
export function precisionOf(a: RunArguments, device: Device): "f32" | "f16" {
  return a.precision ?? (device.capabilities.f16 ? "f16" : "f32");
}

async function load(
  device: Device,
  paths: ModelPaths,
  a: RunArguments,
  encoder: boolean,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<LoadedPipeline> {
  const opened: { close?(): Promise<void> }[] = [];
  const fetching: Fetching = { terminal, signal, half: precisionOf(a, device) === "f16" };
  const keep = <T extends object>(source: T): T => {
    opened.push(source);
    return source;
  };
  try {
    const loras: NonNullable<LoadOptions["loras"]>[number][] = [];
    for (const { path, weight } of paths.loras)
      loras.push({ source: keep(await openFileOf(path, "--lora", fetching)), weight });
    const embeddings: NonNullable<LoadOptions["embeddings"]>[number][] = [];
    for (const { path, name } of a.embedding ?? [])
      embeddings.push({ source: keep(await openFileOf(path, "--embedding", fetching)), name });
    let start: number | undefined; // after what had to be downloaded
    return await loadPipeline(device, {
      model: keep(await openPath(paths.model, "--model", fetching)),
      ...(paths.motion !== undefined && { motion: keep(await openPath(paths.motion, "--motion", fetching)) }),
      ...(paths.vae !== undefined && { vae: keep(await openPath(paths.vae, "--vae", fetching)) }),
      ...(paths.tokenizer !== undefined && { tokenizer: await openFolderOf(paths.tokenizer, "--tokenizer", fetching) }),
      ...(a.motionNorm !== undefined && { motionNorm: a.motionNorm }),
      loras,
      embeddings,
      encoder,
      animates: a.image !== undefined,
      precision: precisionOf(a, device),
      ...storageOf(a, precisionOf(a, device)),
      firstRun: generateOptions("", a),
      onProgress: ({ stage, loadedBytes, totalBytes }) => {
        start ??= performance.now();
        const note = `${stage}, ${transfer(loadedBytes, totalBytes, start)}`;
        terminal.progress("load", totalBytes === 0 ? 1 : loadedBytes / totalBytes, note);
      },
      signal,
    });
  } finally {
    for (const source of opened) await source.close?.();
  }
}

/** Each pixel `scale` × `scale` times. */
function enlarged({ width, height, count: frames, rgba }: Frames, scale: number): Frames {
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, frames * height * width);
  const [w, h] = [width * scale, height * scale];
  const out = new Uint32Array(frames * h * w);
  for (let f = 0; f < frames; f++)
    for (let y = 0; y < h; y++) {
      const row = (f * height + Math.floor(y / scale)) * width;
      for (let x = 0; x < w; x++) out[(f * h + y) * w + x] = pixels[row + Math.floor(x / scale)]!;
    }
  return { width: w, height: h, count: frames, rgba: new Uint8Array(out.buffer) };
}

function reportOf(r: {
  output: string;
  result: FramesEvent;
  loadSeconds: number;
  encodeSeconds: number;
  start: number;
  device: Device;
  info: LoadedPipeline["info"];
}): Report {
  const { result, device, info } = r;
  const { seed, steps } = result.settings;
  return {
    output: r.output,
    seed: typeof seed === "bigint" ? String(seed) : seed,
    steps,
    timesteps: result.timesteps,
    frames: result.frames.count,
    width: result.frames.width,
    height: result.frames.height,
    adapter: device.capabilities.name,
    seconds: { load: r.loadSeconds, ...result.seconds, encode: r.encodeSeconds, total: elapsed(r.start) },
    memory: {
      peakBytes: device.memory.peakReserved,
      weightBytes: info.weightBytes,
      processPeakBytes: process.resourceUsage().maxRSS * 1024,
    },
    dispatches: device.counts.dispatches,
    pipelines: device.pipelineCount,
    warnings: [...info.warnings, ...result.warnings],
  };
}

function elapsed(since: number): number {
  return (performance.now() - since) / 1000;
}
