// The page's options of a run as the library takes them.

import type { GenerateOptions } from "../../index.js";
import type { RunOptions, RunRequest } from "./protocol.js";

/** The library's options of a run. */
export function generateOptions(o: RunOptions, signal: AbortSignal, start?: RunRequest["start"]): GenerateOptions {
  const seed = BigInt(o.seed);
  return {
    prompt: o.prompt,
    negative: o.negative,
    seed: seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : seed,
    steps: o.steps,
    guidance: o.guidance,
    width: o.width,
    height: o.height,
    frames: o.frames,
    scheduler: o.scheduler,
    clipSkip: o.clipSkip,
    plainPrompt: o.plainPrompt,
    ...courseOf(o),
    ...regionsOf(o),
    ...(start?.kind === "video" && { video: start.frames, strength: o.strength ?? 0.8 }),
    ...(start?.kind === "image" && { image: start.frames, motionScale: o.motionScale ?? 0.8 }),
    ...(o.originalSteps !== undefined && o.scheduler === "lcm" && { originalSteps: o.originalSteps }),
    ...(o.betaSchedule !== undefined && { betaSchedule: o.betaSchedule }),
    signal,
  };
}

/** Parts of the picture with prompts of their own. */
export function regionsOf({ regions, regionBase }: RunOptions): Pick<GenerateOptions, "regions" | "regionBase"> {
  if (!regions) return {};
  return {
    regions: regions.map(({ text, x, y, width, height }) => ({ prompt: text, area: [x, y, width, height] as const })),
    ...(regionBase !== undefined && { regionBase }),
  };
}

type Course = Pick<GenerateOptions, "long" | "context" | "stride" | "contextSchedule" | "freeInit" | "promptAt">;

/** What concerns a clip's length and its course, as given; also what the recipe says of it. */
export function courseOf({ long, context, stride, contextSchedule, freeInit, promptAt }: RunOptions): Course {
  return {
    ...(long && { long }),
    ...(context !== undefined && { context }),
    ...(stride !== undefined && { stride }),
    ...(contextSchedule && { contextSchedule }),
    ...(freeInit !== undefined && { freeInit }),
    ...(promptAt && { promptAt }),
  };
}
