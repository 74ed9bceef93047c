// The networks that a run's options name, for planning.

import type { ModelSources } from "../pipelines/model-files.js";
import { UsageError } from "./failure.js";
import { interruptible } from "./interrupt.js";
import type { RunArguments } from "./options.js";
import { modelPaths, openPath } from "./sources.js";
import { Terminal } from "./terminal.js";

/** The networks to plan: published sizes, or those of the files' headers. */
export async function networksOf(a: RunArguments, half: boolean): Promise<ModelSources | { readonly model: "sd15" }> {
  if (a.model === "sd15") {
    if (a.motion !== undefined)
      throw new UsageError("--model sd15 plans AnimateLCM's published motion modules; leave out --motion");
    return { model: "sd15" };
  }
  const { model, motion, vae } = modelPaths(a);
  const terminal = new Terminal({ quiet: a.quiet });
  return interruptible(async (signal) => {
    const fetching = { terminal, signal, half };
    return {
      model: await openPath(model, "--model", fetching),
      ...(motion !== undefined && { motion: await openPath(motion, "--motion", fetching) }),
      ...(vae !== undefined && { vae: await openPath(vae, "--vae", fetching) }),
    };
  });
}
