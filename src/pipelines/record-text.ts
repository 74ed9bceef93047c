// A run's texts, recorded: the prompt (or those along the clip), the negative one and those of regions through the text
// encoder, and the timesteps' embeddings; all that stays the same over a run's steps.

import { countNonFinite } from "../../kernels/finite.js";
import type { Device } from "../gpu/device.js";
import type { UNetMotionModel } from "../models/unet/unet.js";
import { prepareText, type CrossAttention } from "../nn/attention.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Conditioning } from "./denoiser.js";
import type { Settings } from "./options.js";
import { chunksOf, encodePrompt, tokenizePrompt, type PromptParts } from "./prompt.js";
import type { TextRun } from "./text-cache.js";
import { interpolateStates, stack, stopsOf } from "./travel.js";

/** What is recorded besides the run's own texts. */
export interface TextExtras {
  /** Further networks' layers that read the text. */
  readonly readers?: readonly CrossAttention[];
  /** Prompts of regions. */
  readonly regions?: readonly string[];
  /** Knows encodings. */
  readonly texts?: TextRun;
}

/** Records them; the result's tensors are the caller's. `check` counts values that are not finite. */
export function recordText(
  parts: PromptParts & { readonly device: Device; readonly unet: UNetMotionModel },
  s: Settings,
  timesteps: readonly number[],
  { readers = [], regions = [], texts }: TextExtras = {},
): { conditioning: Conditioning; check: Tensor } {
  const { device, unet, dtype } = parts;
  const guided = s.guidance > 1;
  const stops = stopsOf(s);
  const prompts = stops.map((stop) => stop.prompt);
  const chunks = chunksOf(parts, guided ? [...prompts, s.negative] : prompts, s);
  return device.scope(() => {
    const encode = (prompt: string, clipSkip: number, rows: number): Tensor => {
      const style = { chunks: rows, clipSkip, plainPrompt: s.plainPrompt, emphasis: s.emphasis };
      const record = () => encodePrompt(parts, prompt, style);
      return texts ? texts.get(JSON.stringify([prompt, style]), record) : record();
    };
    // clip skip applies to the prompts, never to the negative prompt (diffusers).
    const states = prompts.map((prompt) => encode(prompt, s.clipSkip, chunks));
    const travels = stops.length > 1;
    const positive = travels ? interpolateStates(states, stops, s.frames) : states[0]!;
    const all = guided ? stack(encode(s.negative, 0, chunks), travels ? s.frames : 1, positive) : positive;
    // Attended to by themselves, they need not be as long as the others.
    const inRegions = regions.map((prompt) => encode(prompt, s.clipSkip, chunksOf(parts, [prompt], s)));
    const conditioning: Conditioning = {
      text: travels
        ? { per: "frame", states: all }
        : { per: "clip", keyValues: prepareText([...unet.crossAttentions, ...readers], all) },
      times: unet.timeEmbeddings(device, timesteps, dtype),
      regions: inRegions.map((region) => prepareText(unet.crossAttentions, region)),
    };
    return { conditioning, check: countNonFinite(inRegions.reduce((a, b) => stack(rows(a), 1, rows(b)), all)) };
  });
}

/** Texts `[b, tokens, d]` as `[b · tokens, d]`. */
function rows(states: Tensor): Tensor {
  return states.reshape([states.size / states.shape.at(-1)!, states.shape.at(-1)!]);
}

/** What of a run's texts does not act. */
export function textWarnings(
  parts: Pick<PromptParts, "tokenizer" | "embeddings">,
  s: Settings,
  regions: readonly string[],
): string[] {
  const warnings: string[] = [];
  const check = (what: string, prompt: string) => {
    const { truncatedText } = tokenizePrompt(parts, prompt, s);
    if (truncatedText !== undefined && truncatedText !== "")
      warnings.push(`the ${what} is longer than the text encoder takes; left out: "${truncatedText}"`);
  };
  for (const { frame, prompt } of stopsOf(s)) check(frame === 0 ? "prompt" : `prompt at frame ${frame}`, prompt);
  for (const [i, prompt] of regions.entries()) check(`prompt of region ${i + 1}`, prompt);
  if (s.guidance > 1) check("negative prompt", s.negative);
  else if (s.negative !== "")
    warnings.push("the negative prompt has no effect at guidance 1; it takes guidance above 1");
  return warnings;
}
