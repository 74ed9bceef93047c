// The settings that made a clip, out of its file's recipe.

import type { Recipe } from "../../index.js";
import { BUNDLED, BUNDLED_CONTROL, BUNDLED_LORA } from "../engine/protocol.js";
import { DEFAULTS, settingsFrom, type Settings } from "./defaults.js";
import { modelNamed, type Named } from "./names.js";
import { pathFrom } from "./path.js";
import { regionOf } from "./regions.js";

/** What may be made of control pictures, under the command line's names. */
const MADE = ["canny", "softedge", "grey", "scribble", "tile"] as const;

/** Options of the command line that the page does not have. */
const ABSENT: Readonly<Record<string, string>> = {
  tokenizer: "--tokenizer",
  emphasis: "--emphasis",
  enforceSteps: "--enforce-steps",
  noColourMatch: "--no-colour-match",
  freeInitFilter: "--free-init-filter",
  vaeTiling: "--vae-tiling",
};

/** "8:a heart" → frame 8 */
function stopOf(entry: string | number): Settings["travel"][number] {
  const [, frame = "0", text = ""] = /^(\d+):(.*)$/s.exec(String(entry)) ?? [];
  return { frame: Number(frame), text };
}

function list(value: Recipe[string]): readonly (string | number)[] {
  return Array.isArray(value) ? value : [];
}

/** A number after a colon with its part of the steps, as the command line writes it: "…:0.8:0-0.5". */
const SPAN = String.raw`([+-]?(?:\d+\.?\d*|\.\d+))(?::(\d*\.?\d+)-(\d*\.?\d+))?`;

type Find = (value: unknown, otherwise: string) => string;

/** The control of a recipe: a path is drawn again; pictures have to be given again. */
function controlFrom(recipe: Recipe, find: Find): Partial<Settings> {
  const text = String(list(recipe["control"])[0] ?? "");
  const [, model = "", pictures = "", scale = 1, start = 0, end = 1] =
    new RegExp(`^(.+?)=(.+?)(?::${SPAN})?$`, "s").exec(text) ?? [];
  if (model === "") return {};
  const bundled = model.endsWith("shapes/control-blob");
  const points = list(recipe["controlPath"]).map((p) => {
    const [x, y, t] = String(p).split(",").map(Number);
    return { x, y, t };
  });
  const marks = pictures.split("@").slice(1);
  const at = marks
    .find((mark) => /^\d+(,\d+)*$/.test(mark))
    ?.split(",")
    .map(Number);
  const made = MADE.find((name) => marks.includes(name));
  return {
    control: points.length > 0 ? "path" : at ? "keys" : "pictures",
    controlModel: bundled ? BUNDLED_CONTROL : find(model, BUNDLED_CONTROL),
    controlPath: pathFrom(points),
    controlScale: Number(scale),
    controlStart: Number(start),
    controlEnd: Number(end),
    ...(at && { keyFrames: at }),
    ...(made && { controlMade: made }),
    ...(typeof recipe["controlDisc"] === "number" && { controlDisc: recipe["controlDisc"] }),
  };
}

/** IP-Adapters of a recipe that are stored here; their pictures have to be given again. */
function likenessesFrom(recipe: Recipe, find: Find): Pick<Settings, "likenesses" | "imageEncoder"> {
  const scales = list(recipe["ipScale"]);
  const likenesses = list(recipe["ipAdapter"]).flatMap((name, i) => {
    const id = find(name, "");
    const [, scale = 1, start = 0, end = 1] = new RegExp(`^${SPAN}$`).exec(String(scales[i] ?? scales[0] ?? 1)) ?? [];
    return id === "" ? [] : [{ id, scale: Number(scale), start: Number(start), end: Number(end) }];
  });
  return { likenesses, imageEncoder: find(list(recipe["ipEncoder"])[0], "") };
}

/**
 * The settings that a file's recipe asks for. `missing` names the models that this browser does not have.
 * Paths from the command line are matched by their last part.
 */
export function fromRecipe(
  recipe: Recipe,
  models: readonly Named[],
): { readonly settings: Settings; readonly missing: readonly string[] } {
  const missing: string[] = [];
  const last = (path: string) => path.split(/[/\\]/).pop() ?? path;
  const find = (value: unknown, otherwise: string): string => {
    if (typeof value !== "string") return otherwise;
    const found = modelNamed(value, models);
    if (!found) missing.push(last(value));
    return found?.id ?? otherwise;
  };
  for (const [name, option] of Object.entries(ABSENT))
    if (recipe[name] !== undefined && recipe[name] !== false) missing.push(option);
  // The schedule that AnimateLCM's image to video was trained with goes with it.
  if (recipe["betaEnd"] !== undefined && recipe["image"] === undefined) missing.push("--beta-end");
  if (list(recipe["control"]).length > 1) missing.push("--control but for the first");
  const model = find(recipe["model"], BUNDLED);
  const loras = Array.isArray(recipe["lora"])
    ? recipe["lora"].flatMap((entry) => {
        const [, name = "", weight = "1"] = /^(.+?)(?::([+-]?[\d.]+))?$/.exec(String(entry)) ?? [];
        const id = find(name, "");
        return id === "" ? [] : [{ id, weight: Number(weight) }];
      })
    : [];
  const lessLora = recipe["noLora"] === true;
  const own = typeof recipe["bundledLora"] === "number" ? recipe["bundledLora"] : lessLora ? 0 : 1;
  const [, w, h] = /^(\d+)x(\d+)$/.exec(recipe.size ?? "") ?? [];
  const size = {
    width: w === undefined ? DEFAULTS.width : Number(w),
    height: h === undefined ? DEFAULTS.height : Number(h),
  };
  const plain = settingsFrom({
    ...recipe,
    seed: recipe.seed === undefined ? "0" : String(recipe.seed),
    ...size,
    course:
      recipe["long"] === "window"
        ? recipe["contextSchedule"] === "looped"
          ? "loop"
          : "window"
        : recipe["long"] === "free-noise"
          ? "free-noise"
          : "whole",
    travel: Array.isArray(recipe["promptAt"]) ? recipe["promptAt"].map(stopOf) : [],
    regions: list(recipe["region"]).flatMap((entry) => {
      const region = regionOf(String(entry), size);
      if (!region) missing.push(`the mask of ${entry}`);
      return region ?? [];
    }),
    mode: typeof recipe["initVideo"] === "string" ? "video" : typeof recipe["image"] === "string" ? "image" : "text",
    model,
    motion: find(recipe["motion"], ""),
    ...controlFrom(recipe, find),
    ...likenessesFrom(recipe, find),
    embeddings: list(recipe["embedding"]).flatMap((name) => find(name, "") || []),
    vae: find(recipe["vae"], ""),
    loras: model === BUNDLED ? [{ id: BUNDLED_LORA, weight: own }, ...loras] : loras, // settingsFrom adds it otherwise
  });
  return { settings: { ...plain, seedLocked: true }, missing };
}
