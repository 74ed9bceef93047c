// Runs that survive the loss of their device: a driver's reset, a GPU that went away, a page that lost its context. The
// run's state is read back after every step (a few tensors of the latents' size); when the device is lost, the caller
// gives a pipeline on another one, and the run goes on after the last finished step, to the same bits.

import { DeviceLostError } from "../gpu/errors.js";
import type { AnimateDiffPipeline } from "./animatediff.js";
import type { GenerationEvent } from "./events.js";
import type { GenerateOptions } from "./options.js";

/** What a run goes on with. */
export interface Reopened {
  readonly pipeline: AnimateDiffPipeline;
  /** In place of inputs that hold networks on the lost device. */
  readonly inputs?: Partial<GenerateOptions>;
}

/**
 * `pipeline.generate(options)`, once recovered: `reopen` is told why and how many steps are done, and opens a new device
 * with the same model, LoRAs and precision on it, which stays the caller's. A second loss is thrown.
 * @throws what generate and `reopen` throw
 */
export async function* generateRecovering(
  pipeline: AnimateDiffPipeline,
  options: GenerateOptions,
  reopen: (lost: DeviceLostError, stepsDone: number) => Promise<Reopened>,
): AsyncGenerator<GenerationEvent, void, undefined> {
  let { resume } = options;
  try {
    for await (const event of pipeline.generate(options)) {
      if (event.type === "step") {
        const state = await event.state();
        resume = state;
        yield { ...event, state: () => Promise.resolve(state) };
      } else yield event;
    }
  } catch (error) {
    if (!(error instanceof DeviceLostError)) throw error;
    const again = await reopen(error, resume?.done ?? 0);
    yield* again.pipeline.generate({ ...options, ...again.inputs, ...(resume && { resume }) });
  }
}
