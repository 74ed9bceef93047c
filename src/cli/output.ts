// Where a run's results go: checked before the work, written whole or not at all after it.

import { messageOf } from "../io/errors.js";
import {
  checkWritable,
  checkWriter,
  outputFormat,
  writeAtomically,
  writeClip,
  type ClipOptions,
} from "../io/output.js";
import type { Clip } from "../io/frames.js";
import { writeSafetensors } from "../io/safetensors.js";
import type { FramesEvent } from "../pipelines/animatediff.js";
import { UsageError } from "./failure.js";

export { checkWritable };

/** A file or folder that will be written. */
export interface OutputTarget {
  /** Writes the clip in the format the path asks for; the path. */
  write(clip: Clip, options: ClipOptions): Promise<string>;
}

/** @throws UsageError for a suffix that is not written, OutputError where the folder does not take it */
export async function outputTarget(path: string): Promise<OutputTarget> {
  try {
    outputFormat(path);
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
  await checkWritable(path);
  await checkWriter(path);
  return {
    write: async (clip, options) => {
      await writeClip(path, clip, options);
      return path;
    },
  };
}

/** The last latents as a safetensors file: tensor `latents`, f32 `[1, 4, frames, h, w]`. */
export async function writeLatents(
  path: string,
  { latents, latentShape }: FramesEvent,
  signal: AbortSignal,
): Promise<void> {
  const data = new Uint8Array(latents.buffer, latents.byteOffset, latents.byteLength);
  const file = writeSafetensors([{ name: "latents", dtype: "F32", shape: latentShape, data }]);
  await writeAtomically(path, file, { signal });
}
