// Motion modules: AnimateDiff's and AnimateLCM's own files (`….motion_modules.0.temporal_transformer.…attention_blocks.0.…`)
// and diffusers' MotionAdapter (`….motion_modules.0.…attn1.…`), both ways. Originals may carry one positional encoding per
// attention, none (AnimateLCM), and AnimateLCM-I2V's image encoder beside them.

import { CheckpointError } from "../errors.js";
import type { WeightFile } from "../weight-files.js";
import { renameWeights, withoutPrefix, type Origin } from "./renamed.js";

const ORIGINAL =
  /^(?:module\.)?((?:down_blocks|up_blocks)\.\d+|mid_block)\.motion_modules\.(\d+)\.temporal_transformer\.(.+)$/;
const ADAPTER = /^(?:module\.)?((?:(?:down_blocks|up_blocks)\.\d+|mid_block)\.motion_modules\.\d+\..+)$/;

const BLOCK: readonly (readonly [RegExp, string])[] = [
  [/^(transformer_blocks\.\d+\.)attention_blocks\.0\.pos_encoder\./, "$1pos_embed."],
  [/^(transformer_blocks\.\d+\.)attention_blocks\.0\./, "$1attn1."],
  [/^(transformer_blocks\.\d+\.)attention_blocks\.1\./, "$1attn2."],
  [/^(transformer_blocks\.\d+\.)norms\.0\./, "$1norm1."],
  [/^(transformer_blocks\.\d+\.)norms\.1\./, "$1norm2."],
  [/^(transformer_blocks\.\d+\.)ff_norm\./, "$1norm3."],
];

const BACK: readonly (readonly [RegExp, string])[] = [
  [/^(transformer_blocks\.\d+\.)pos_embed\.pe$/, "$1attention_blocks.0.pos_encoder.pe"],
  [/^(transformer_blocks\.\d+\.)attn1\./, "$1attention_blocks.0."],
  [/^(transformer_blocks\.\d+\.)attn2\./, "$1attention_blocks.1."],
  [/^(transformer_blocks\.\d+\.)norm1\./, "$1norms.0."],
  [/^(transformer_blocks\.\d+\.)norm2\./, "$1norms.1."],
  [/^(transformer_blocks\.\d+\.)norm3\./, "$1ff_norm."],
];

function replaced(text: string, rules: readonly (readonly [RegExp, string])[]): string {
  for (const [pattern, to] of rules) if (pattern.test(text)) return text.replace(pattern, to);
  return text;
}

/** MotionAdapter's name of an original name (a tensor's or a module's, without `.weight`), undefined where it is none. */
export function motionName(original: string): string | undefined {
  const m = ORIGINAL.exec(original);
  // The dot lets a module's own name match what its tensors' names match.
  if (m) return `${m[1]!}.motion_modules.${m[2]!}.${replaced(`${m[3]!}.`, BLOCK).slice(0, -1)}`;
  return ADAPTER.exec(original)?.[1];
}

/** AnimateDiff's names of a MotionAdapter name; two for the positional encoding, which its two attentions keep each. */
export function originalMotionNames(name: string): string[] {
  const m = /^(.+\.motion_modules\.\d+\.)(.+)$/.exec(name);
  if (!m) return [];
  const first = `${m[1]!}temporal_transformer.${replaced(m[2]!, BACK)}`;
  return name.endsWith(".pos_embed.pe") ? [first, first.replace("attention_blocks.0", "attention_blocks.1")] : [first];
}

/** A motion file in MotionAdapter's names. */
export interface MotionFile {
  readonly weights: WeightFile;
  /** Whether the names were AnimateDiff's own: such modules normalise each frame by itself. */
  readonly original: boolean;
  /** Rows of the stored positional encoding; undefined where the file has none and sinusoids are made (up to 64). */
  readonly positions: number | undefined;
  /** Whether the middle block has a module (AnimateDiff v2, AnimateLCM). */
  readonly middle: boolean;
  /** AnimateLCM-I2V's `img_encoder.*`, without that prefix. */
  readonly imageEncoder: WeightFile | undefined;
  readonly notes: readonly string[];
}

/**
 * Reads motion modules of any spelling; other tensors of the file (a whole UNet, for one) are hidden.
 * @throws CheckpointError when it has no motion modules
 */
export function readMotion(file: WeightFile): MotionFile {
  const table = new Map<string, Origin>();
  let original = false;
  let [hidden, encodings] = [0, 0];
  let positions: number | undefined;
  for (const { name, shape } of file.entries()) {
    if (/attention_blocks\.[1-9]\d*\.pos_encoder\.pe$/.test(name)) {
      encodings++;
      continue;
    }
    const to = motionName(name);
    if (to === undefined) {
      if (!IMAGE_ENCODER.test(name)) hidden++;
      continue;
    }
    if (ORIGINAL.test(name)) original = true;
    if (to.endsWith(".pos_embed.pe")) positions = shape[1];
    if (table.has(to)) throw new CheckpointError(`${file.name} has ${to} in two spellings`);
    table.set(to, { from: name });
  }
  if (table.size === 0)
    throw new CheckpointError(
      `${file.name} has no motion modules: expected names like down_blocks.0.motion_modules.0.…`,
    );
  const notes: string[] = [];
  if (encodings > 0)
    notes.push("the positional encoding stored with each second attention is not used: it repeats the first's");
  if (hidden > 0) notes.push(`${hidden} tensors that belong to no motion module are not used`);
  const names = [...file.entries()].map((e) => e.name);
  const encoder = ["img_encoder.", "module.img_encoder."].map((p) => withoutPrefix(names, p)).find((t) => t.size > 0);
  return {
    weights: renameWeights(file, table, file.name, notes),
    original,
    positions,
    middle: [...table.keys()].some((n) => n.startsWith("mid_block.")),
    imageEncoder: encoder && renameWeights(file, encoder, `${file.name} (image encoder)`),
    notes,
  };
}

const IMAGE_ENCODER = /^(module\.)?img_encoder\./;
