// One run from options to a written file: what it reads and writes is opened first, a lost device is replaced, an interrupted
// run leaves its state.

import type { Device } from "../gpu/device.js";
import type { DeviceLostError } from "../gpu/errors.js";
import type { Choices } from "../gpu/tuning.js";
import { messageOf } from "../io/errors.js";
import type { Recipe } from "../io/recipe.js";
import type { VideoSource } from "../io/video.js";
import type { Frames, FramesEvent, StepEvent } from "../pipelines/animatediff.js";
import { generateRecovering } from "../pipelines/recovery.js";
import type { RunState } from "../pipelines/run-state.js";
import { openAdapter } from "./adapters.js";
import { checkRun } from "./checks.js";
import { checkControls, controlInputs } from "./controls.js";
import { fitted, tellChanges } from "./fit.js";
import { follow } from "./follow.js";
import { elapsed } from "./format.js";
import { interruptible } from "./interrupt.js";
import { Keeper } from "./keeper.js";
import { generateOptions, type RunArguments } from "./options.js";
import { openInitVideo, readInitVideo, videoOptions } from "./options-video.js";
import { checkWritable, outputTarget, writeLatents, type OutputTarget } from "./output.js";
import { recipeOf } from "./recipe.js";
import { reportOf, type Report } from "./report.js";
import { openSession, precisionOf, type Session } from "./session.js";
import type { Terminal } from "./terminal.js";

/** Previews are as large as the latents; so many times they can be looked at. */
const PREVIEW_SCALE = 4;

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

/**
 * `again` is the command that goes on with the run where it is interrupted, if not this one with --resume.
 * @throws UsageError, OutputError or PictureError for what cannot be read or written
 */
export async function prepare(a: RunArguments, outputs: readonly string[], again?: string): Promise<Prepared> {
  const targets: OutputTarget[] = [];
  for (const output of outputs) targets.push(await outputTarget(output));
  if (a.latentsOut !== undefined) await checkWritable(a.latentsOut);
  await checkControls(a);
  const video = await openInitVideo(a);
  checkRun(a, video);
  return {
    targets,
    video,
    preview: a.preview === undefined ? undefined : await outputTarget(a.preview),
    keeper: await Keeper.open(a.resume, outputs[0]!, again),
  };
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
    tellChanges(changes, terminal);
    try {
      using session = await openSession(device, a, terminal, signal);
      return await perform(session, prompt, a, prepared, { terminal, signal, start, loadSeconds: session.seconds });
    } finally {
      terminal.clear();
    }
  });
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
    ? generateRecovering(
        pipeline,
        run,
        async (lost, done) => {
          const again = await reopen(lost, done);
          return { pipeline: again.pipeline, inputs: await inputs(again) };
        },
        { previews: a.preview !== undefined },
      )
    : pipeline.generate(run);
  const result = await follow(events, terminal, onStep);
  for (const warning of result.warnings) terminal.warn(warning);
  return result;
}

/** Around a run: where it tells how far it is, what stops it, when its work began, and how long of that was loading. */
export interface Around {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly start: number;
  readonly loadSeconds: number;
}

/** One run of a loaded model, written. */
export async function perform(
  session: Session,
  prompt: string,
  a: RunArguments,
  prepared: Prepared,
  { terminal, signal, start, loadSeconds }: Around,
): Promise<Produced> {
  const { video, preview, keeper } = prepared;
  session.device.resetCounts();
  if (a.resume !== undefined) terminal.say(`resume    ${keeper.beginning}`);
  const onStep = async (event: StepEvent) => {
    await keeper.step(event, (text) => terminal.warn(text));
    if (preview) await preview.write(enlarged(await event.preview(), PREVIEW_SCALE), { fps: a.fps, signal });
  };
  using second = new SecondDevice();
  const reopen = async (lost: DeviceLostError, done: number) => {
    terminal.warn(`${lost.message.replace(/;.*/, "")}; opening it again, to go on after step ${done}`);
    return second.open(session.device.tuning.choices, a, terminal, signal);
  };
  try {
    const watched = { resume: keeper.resumed, onStep, reopen };
    const result = await render(session, prompt, a, video, terminal, signal, watched);
    const encodeStart = performance.now();
    terminal.refresh("encode", 0);
    const { paths, info } = session;
    const device = second.session?.device ?? session.device;
    const recipe = recipeOf({ result, a, paths, info, precision: precisionOf(a, device) });
    const written = await write(result, a, prepared, recipe, signal);
    const encodeSeconds = elapsed(encodeStart);
    terminal.done("encode", encodeSeconds);
    await keeper.done().catch((error: unknown) => {
      terminal.warn(`the clip is written; its state can be removed, which failed: ${messageOf(error)}`);
    });
    const output = written[0] ?? "";
    const report = reportOf({ output, result, loadSeconds, encodeSeconds, start, device, info });
    return { report, written };
  } catch (error) {
    throw await keeper.stopped(error);
  }
}

/** Writes a run's results; the paths of the clips. */
async function write(
  result: FramesEvent,
  a: RunArguments,
  { targets }: Prepared,
  recipe: Recipe,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const written: string[] = [];
  for (const target of targets) written.push(await target.write(result.frames, { fps: a.fps, recipe, signal }));
  if (a.latentsOut !== undefined) await writeLatents(a.latentsOut, result, signal);
  return written;
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
