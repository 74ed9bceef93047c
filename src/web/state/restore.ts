// The settings that made a clip, out of its file's recipe.

import type { Recipe } from "../../index.js";
import { BUNDLED, BUNDLED_CONTROL, BUNDLED_LORA } from "../engine/protocol.js";
import { DEFAULTS, settingsFrom, type Settings } from "./defaults.js";
import { pathFrom } from "./path.js";
import { regionOf } from "./regions.js";

/** "8:a heart" → frame 8 */
function stopOf(entry: string | number): Settings["travel"][number] {
  const [, frame = "0", text = ""] = /^(\d+):(.*)$/s.exec(String(entry)) ?? [];
  return { frame: Number(frame), text };
}

/** A model of the store, as far as recipes name it. */
interface Named {
  readonly id: string;
  readonly name: string;
}

function list(value: Recipe[string]): readonly (string | number)[] {
  return Array.isArray(value) ? value : [];
}

/** The control of a recipe: a path is drawn again; pictures have to be given again. */
function controlFrom(recipe: Recipe, find: (value: unknown, otherwise: string) => string): Partial<Settings> {
  const [, model = "", scale] = /^(.+?)=.*?(?::([\d.]+))?$/.exec(String(list(recipe["control"])[0] ?? "")) ?? [];
  if (model === "") return {};
  const bundled = model.endsWith("shapes/control-blob");
  const points = list(recipe["controlPath"]).map((p) => {
    const [x, y, t] = String(p).split(",").map(Number);
    return { x, y, t };
  });
  return {
    control: points.length > 0 ? "path" : "pictures",
    controlModel: bundled ? BUNDLED_CONTROL : find(model, BUNDLED_CONTROL),
    controlPath: pathFrom(points),
    ...(scale !== undefined && { controlScale: Number(scale) }),
    ...(typeof recipe["controlDisc"] === "number" && { controlDisc: recipe["controlDisc"] }),
  };
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
    const found = models.find((m) => m.name === value || m.name === last(value));
    if (!found) missing.push(last(value));
    return found?.id ?? otherwise;
  };
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
    embeddings: list(recipe["embedding"]).flatMap((name) => find(name, "") || []),
    vae: find(recipe["vae"], ""),
    loras: model === BUNDLED ? [{ id: BUNDLED_LORA, weight: own }, ...loras] : loras,
  });
  return { settings: { ...plain, seedLocked: true }, missing };
}
