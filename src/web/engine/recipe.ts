// The recipe of a run made in the browser: the same names as the command line's, so that `kineograph inspect` understands
// a file from here, and the page one from there. Models are named, since a browser knows no paths.

import { version, type FramesEvent, type ModelInfo, type Recipe } from "../../index.js";
import { settingsRecipe } from "../../pipelines/settings-recipe.js";
import { regionText } from "../state/regions.js";
import { BUNDLED, BUNDLED_CONTROL, BUNDLED_LORA, type Control, type Likeness, type RunRequest } from "./protocol.js";

/** Everything that made a clip; `names` by id of what is not bundled. */
export function recipeOf(run: {
  readonly request: RunRequest;
  readonly result: FramesEvent;
  readonly info: ModelInfo;
  readonly precision: "f32" | "f16";
  readonly adapter: string;
  readonly names: ReadonlyMap<string, string>;
}): Recipe {
  const { choice, options, start, control, likenesses = [] } = run.request;
  const { settings: s } = run.result;
  const name = (id: string) => run.names.get(id) ?? id;
  const own = choice.loras.filter((l) => l.id !== BUNDLED_LORA);
  const bundled = choice.model === BUNDLED;
  return {
    prompt: s.prompt,
    ...(!bundled && { model: name(choice.model) }),
    ...(choice.motion !== undefined && { motion: name(choice.motion) }),
    ...(own.length > 0 && { lora: own.map((l) => `${name(l.id)}:${l.weight}`) }),
    ...(choice.vae !== undefined && { vae: name(choice.vae) }),
    ...(choice.embeddings.length > 0 && { embedding: choice.embeddings.map(name) }),
    ...settingsRecipe(s, options.fps, run.precision),
    ...(choice.weights && { weights: choice.weights }),
    ...(choice.lowMemory && { lowMemory: true }),
    ...(s.clipSkip > 0 && { clipSkip: s.clipSkip }),
    ...(bundled && choice.distilled && lessLora(choice)),
    ...(options.plainPrompt && { plainPrompt: true }),
    ...(start?.kind === "video" && { initVideo: start.name, strength: options.strength ?? 0.8 }),
    ...(start?.kind === "image" && { image: start.name, motionScale: options.motionScale ?? 0.8 }),
    ...(control && controlRecipe(control, name)),
    ...(likenesses.length > 0 && likenessRecipe(likenesses, name)),
    ...courseRecipe(options),
    ...(options.regions && { region: options.regions.map(regionText), regionBase: options.regionBase ?? 0 }),
    version,
    adapter: run.adapter,
    ...Object.fromEntries(Object.entries(run.info.hashes).map(([part, hash]) => [`${part}Sha256`, hash])),
    ...(run.info.loras.length > 0 && { loraSha256: run.info.loras.map((l) => l.hash) }),
  };
}

/** As the command line says it; a drawn path also in numbers, by which the page draws it again. */
function controlRecipe({ id, name, guide, guess, ...span }: Control, nameOf: (id: string) => string): Partial<Recipe> {
  const model = id === BUNDLED_CONTROL ? "models/shapes/control-blob" : nameOf(id);
  const made = guide.kind === "path" || guide.made === "as they are" ? "" : `@${guide.made}`;
  const at = guide.kind === "keys" ? `@${guide.at.join(",")}` : "";
  return {
    control: [`${model}=${name}${made}${at}:${spanText(span)}`],
    ...(guess && { controlGuess: true }),
    ...(guide.kind === "path" && {
      controlPath: guide.points.map((p) => `${p.x},${p.y},${p.t}`),
      controlDisc: guide.size,
    }),
  };
}

/** "0.8", "0.8:0-0.5": how much, and in which part of the steps. */
function spanText({ scale, start, end }: Pick<Control, "scale" | "start" | "end">): string {
  return start === 0 && end === 1 ? String(scale) : `${scale}:${start}-${end}`;
}

/** IP-Adapters; one alone has its pictures one by one, several have theirs joined. */
function likenessRecipe(likenesses: readonly Likeness[], nameOf: (id: string) => string): Partial<Recipe> {
  return {
    ipAdapter: likenesses.map((l) => nameOf(l.id)),
    ipEncoder: [...new Set(likenesses.map((l) => nameOf(l.encoder)))],
    ipImage: likenesses.length === 1 ? likenesses[0]!.names : likenesses.map((l) => l.names.join(",")),
    ipScale: likenesses.map(spanText),
  };
}

/** Length and course, prompts along the clip as the command line writes them: "8:a heart". */
function courseRecipe(o: RunRequest["options"]): Partial<Recipe> {
  const stops = Object.entries(o.promptAt ?? {}).map(([frame, text]) => `${frame}:${text}`);
  return {
    ...(o.long && { long: o.long, context: o.context, stride: o.stride }),
    ...(o.contextSchedule && { contextSchedule: o.contextSchedule }),
    ...(o.freeInit !== undefined && { freeInit: o.freeInit }),
    ...(stops.length > 0 && { promptAt: stops }),
  };
}

/** What tells that the bundled LoRA was left out, or weighted otherwise than by default. */
function lessLora(choice: RunRequest["choice"]): Partial<Recipe> {
  const weight = choice.loras.find((l) => l.id === BUNDLED_LORA)?.weight ?? 0;
  if (weight === 1) return {};
  return weight === 0 ? { noLora: true } : { noLora: true, bundledLora: weight };
}
