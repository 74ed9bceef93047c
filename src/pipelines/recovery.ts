// Runs that survive the loss of their device: a driver's reset, a GPU that went away, a page that lost its context. The
// run's state is read back after every step (a few tensors of the latents' size); when the device is lost, the caller
// gives a pipeline on another one, and the run goes on after the last finished step, to the same bits.

import { DeviceLostError } from "../gpu/errors.js";
import type { AnimateDiffPipeline } from "./animatediff.js";
import type { GenerationEvent, StepEvent } from "./events.js";
import type { GenerateOptions } from "./options.js";

/** What a run goes on with. */
export interface Reopened {
  readonly pipeline: AnimateDiffPipeline;
  /** In place of inputs that hold networks on the lost device. */
  readonly inputs?: Partial<GenerateOptions>;
}

/** What is read back after a step, while the device is there. */
export interface RecoveryOptions {
  /** Previews too: one that is read when it is asked for is lost with the device, and so is the run. Default false. */
  readonly previews?: boolean;
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
  { previews = false }: RecoveryOptions = {},
): AsyncGenerator<GenerationEvent, void, undefined> {
  let { resume } = options;
  try {
    for await (const event of pipeline.generate(options)) {
      if (event.type === "step") {
        const read = await readBack(event, previews);
        resume = await read.state();
        yield read;
      } else yield event;
    }
  } catch (error) {
    if (!(error instanceof DeviceLostError)) throw error;
    const again = await reopen(error, resume?.done ?? 0);
    yield* again.pipeline.generate({ ...options, ...again.inputs, ...(resume && { resume }) });
  }
}

/** A step that no longer needs its device. */
async function readBack(event: StepEvent, previews: boolean): Promise<StepEvent> {
  const state = await event.state();
  const attention = await event.attention?.();
  const preview = previews ? await event.preview() : undefined;
  return {
    ...event,
    state: () => Promise.resolve(state),
    ...(attention && { attention: () => Promise.resolve(attention) }),
    ...(preview && { preview: () => Promise.resolve(preview) }),
  };
}
