// Follows a run on the terminal: how far it is, over all its steps and windows, and how long it will take.

import type { FramesEvent, GenerationEvent, StepEvent } from "../pipelines/animatediff.js";
import { seconds } from "./format.js";
import type { Terminal } from "./terminal.js";

/** Where lines are written one after another, a step of many windows says at times how far it is. */
const SECONDS_OF_SILENCE = 30;

/** Shows a run's progress until its frames come; `onStep` is awaited after each step. */
export async function follow(
  events: AsyncIterable<GenerationEvent>,
  terminal: Terminal,
  onStep: (event: StepEvent) => Promise<void> = () => Promise.resolve(),
): Promise<FramesEvent> {
  terminal.refresh("denoise", 0, "text first; shaders new to this driver are compiled now");
  /** Time of the present step's windows, which the step's own contains. */
  let inStep = 0;
  let spent = 0;
  /** Share of the work that was done before this run, where it goes on with another. */
  let before: number | undefined;
  let line = performance.now();
  let steps = 0;
  for await (const event of events) {
    if (event.type === "frames") {
      terminal.done("text", event.seconds.text);
      if (event.seconds.video !== undefined) terminal.done("video", event.seconds.video, "encoded");
      terminal.done("denoise", event.seconds.denoise, `${steps} steps`);
      terminal.done(
        "decode",
        event.seconds.decode,
        `${event.frames.count} frames of ${event.frames.width}x${event.frames.height}`,
      );
      return event;
    }
    const windowed = event.type === "window";
    spent += event.seconds - (windowed ? 0 : inStep);
    inStep = windowed ? inStep + event.seconds : 0;
    const done = windowed ? event.done : event.index + 1;
    const share = done / event.count;
    before ??= (done - 1) / event.count;
    const left = `about ${seconds((spent / (share - before)) * (1 - share))} left`;
    if (windowed) {
      terminal.refresh("denoise", share, `window ${done}/${event.count}, ${left}`);
      if (performance.now() - line < SECONDS_OF_SILENCE * 1000) continue;
      line = performance.now();
      terminal.step(`window ${done} of ${event.count}, ${left}`);
    } else {
      line = performance.now();
      steps = event.count;
      terminal.step(`step ${done} of ${event.count}, timestep ${event.timestep}: ${seconds(event.seconds)}`);
      if (share < 1) terminal.refresh("denoise", share, `${done}/${event.count}, ${left}`);
      else terminal.refresh("decode", 0);
      await onStep(event);
    }
  }
  throw new Error("the pipeline ended without frames");
}
