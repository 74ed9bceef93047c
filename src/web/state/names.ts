// Models in settings: by ids that mean something in this browser alone, or, on their way to another, by their names.

import { BUNDLED, BUNDLED_CONTROL } from "../engine/protocol.js";
import { DEFAULTS, type Settings } from "./defaults.js";

/** A model of the store, as far as names go. */
export interface Named {
  readonly id: string;
  readonly name: string;
  /** Of a model from the hub: its name there. */
  readonly hub?: { readonly name: string };
}

/** The stored model that a text means: an id, a name at the hub, a file's name, or the path of such a file elsewhere. */
export function modelNamed<M extends Named>(text: string, models: readonly M[]): M | undefined {
  const file = text.split(/[/\\]/).pop();
  return (
    models.find((m) => m.id === text) ??
    models.find((m) => m.hub?.name === text) ??
    models.find((m) => m.name === text) ??
    models.find((m) => m.name === file)
  );
}

/** Whether a text is an id of the store, which no other browser knows. */
export function isId(text: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(text);
}

/** Settings with every model that is not bundled replaced; `f` gives undefined for what is to be left out. */
function replaced(s: Settings, f: (id: string) => string | undefined): Settings {
  const one = (id: string, otherwise: string) =>
    id === "" || id === BUNDLED || id.startsWith(`${BUNDLED}/`) ? id : (f(id) ?? otherwise);
  const all = <T extends { readonly id: string }>(list: readonly T[]): readonly T[] =>
    list.flatMap((entry) => {
      const id = one(entry.id, "");
      return id === "" ? [] : [{ ...entry, id }];
    });
  return {
    ...s,
    model: one(s.model, BUNDLED),
    motion: one(s.motion, ""),
    vae: one(s.vae, ""),
    controlModel: one(s.controlModel, BUNDLED_CONTROL),
    imageEncoder: one(s.imageEncoder, ""),
    loras: all(s.loras),
    embeddings: s.embeddings.flatMap((id) => one(id, "") || []),
    likenesses: all(s.likenesses),
  };
}

/** Settings for another browser: models by their names. */
export function withNames(s: Settings, models: readonly Named[]): Settings {
  return replaced(s, (id) => {
    const model = models.find((m) => m.id === id);
    return model?.hub?.name ?? model?.name;
  });
}

/** Settings with the models that are stored here. What goes with the bundled model does, where a run falls back to it. */
export function withStored(
  s: Settings,
  models: readonly Named[],
): { readonly settings: Settings; readonly missing: readonly string[] } {
  const missing: string[] = [];
  const settled = replaced(s, (text) => {
    const found = modelNamed(text, models);
    if (!found) missing.push(text);
    return found?.id;
  });
  if (JSON.stringify(settled) === JSON.stringify(s)) return { settings: s, missing };
  const { width, height, motion } = DEFAULTS;
  return {
    settings: {
      ...settled,
      ...(missing.includes(s.model) && { width, height, motion }),
      ...(missing.includes(s.controlModel) && { control: "none" }),
    },
    missing,
  };
}
