// The denoising loop: FreeInit's runs, the sampler's steps in each, the windows of each step. Tells after every window and
// step; can be stopped there and go on from a saved state.

import type { Device } from "../gpu/device.js";
import type { Tensor } from "../tensor/tensor.js";
import type { TorchGenerator } from "../tensor/torch-generator.js";
import type { Course } from "./course.js";
import type { Denoiser } from "./denoiser.js";
import type { Frames, StepEvent, WindowEvent } from "./events.js";
import { reinitialise } from "./free-init.js";
import { fromChannelsLast, type LatentSlots } from "./latents.js";
import type { Settings } from "./options.js";
import type { RunState } from "./run-state.js";

/** What the loop works with; all of it stays the caller's. */
export interface Denoising {
  readonly device: Device;
  readonly settings: Settings;
  readonly scheduler: Course;
  readonly denoiser: Denoiser;
  /** Hold the first sample, or what a resumed run had. */
  readonly slots: LatentSlots;
  readonly generator: TorchGenerator;
  /** What the run began with, torch's layout: noise of unit level, or a video's noised latents; FreeInit needs it. */
  readonly initial: Float32Array | undefined;
  /** Signal and noise at the last training timestep. */
  readonly lastLevel: { readonly alpha: number; readonly sigma: number };
  /** What determines the run's result, for states. */
  readonly run: RunState["run"];
  /** Steps done before, in a run that goes on. */
  readonly done: number;
  readonly signal: AbortSignal | undefined;
  /** Runs what is recorded; throws where `check` counts values that are not finite, naming the stage. */
  finite(check: Tensor, stage: string): Promise<void>;
  preview(latents: Tensor): Promise<Frames>;
}

/** Denoises the slots' `sample`. */
export async function* denoise(run: Denoising): AsyncGenerator<StepEvent | WindowEvent, void, undefined> {
  const { scheduler, denoiser, slots, generator, signal } = run;
  const { timesteps } = scheduler;
  const steps = timesteps.length;
  const size = slots.shape.reduce((n, d) => n * d, 1);
  let allWindows = 0;
  let windowsDone = 0;
  for (let step = 0; step < steps; step++) {
    allWindows += denoiser.windows(step).length;
    if (step < run.done) windowsDone += denoiser.windows(step).length;
  }
  for (let step = run.done; step < steps; step++) {
    const timestep = timesteps[step]!;
    let earlier = 0; // time of the step's windows; what the consumer does between them does not count
    let clock = new Clock();
    if (scheduler.indexOf(step) === 0 && step > 0) await beginAnew(run);
    const windows = denoiser.windows(step);
    for (const window of windows) {
      denoiser.evaluate(step, window);
      windowsDone++;
      if (windows.length === 1) continue;
      await run.device.drain(signal);
      const seconds = clock.lap();
      earlier += seconds;
      yield { type: "window", index: step, done: windowsDone, count: allWindows, seconds };
      clock = new Clock();
    }
    if (scheduler.plan(step).drawsNoise) slots.upload("noise", generator.randn(size));
    using check = denoiser.step(step);
    await run.finite(check, `the UNet at step ${step + 1} (timestep ${timestep})`);
    yield {
      type: "step",
      index: step,
      count: steps,
      timestep,
      seconds: earlier + clock.lap(),
      preview: () => run.preview(slots.get("x0")),
      state: async () => ({
        done: step + 1,
        generator: generator.getState(),
        shape: slots.shape,
        run: run.run,
        slots: await slots.snapshot(),
      }),
    };
  }
}

/** FreeInit: the next run's first sample from the last one's clip. */
async function beginAnew({ slots, scheduler, generator, initial, lastLevel, settings }: Denoising): Promise<void> {
  if (!initial) throw new Error("FreeInit needs what the run began with");
  const [f, h, w, c] = slots.shape;
  const next = reinitialise([c, f, h, w], {
    clean: fromChannelsLast(await slots.get("sample").read(), c),
    initial,
    fresh: generator.randn(initial.length),
    signal: lastLevel.alpha,
    noise: lastLevel.sigma,
    filter: settings.freeInitFilter,
  });
  slots.clear();
  slots.upload(
    "sample",
    next.map((v) => v * scheduler.initNoiseSigma),
  );
}

/** Wall-clock time between laps. */
export class Clock {
  #since = performance.now();

  /** Seconds since the last lap, or since the start. */
  lap(): number {
    const now = performance.now();
    const seconds = (now - this.#since) / 1000;
    this.#since = now;
    return seconds;
  }
}
