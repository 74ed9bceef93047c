// The desk's worker from the page's side: stored models, and clips on their way out.

import { signal } from "@preact/signals";
import type { Recipe } from "../../index.js";
import type {
  Decoded,
  DecodeRequest,
  DeskCalls,
  EncodeRequest,
  GivenFile,
  ImportEvent,
  Usage,
} from "../desk/protocol.js";
import { Client } from "../rpc.js";
import { DEFAULTS } from "./defaults.js";
import { change, settings } from "./settings.js";
import { BUNDLED } from "../engine/protocol.js";
import { say } from "./toasts.js";

const desk = new Client<DeskCalls>(
  () => new Worker(new URL("../desk/worker.ts", import.meta.url), { type: "module", name: "desk" }),
);

export const usage = signal<Usage>({ models: [], usedBytes: 0, freeBytes: 0 });
/** What is being added or checked. */
export const importing = signal<(ImportEvent & { readonly controller: AbortController }) | undefined>(undefined);

/** Reads what is stored; settings that name what is gone fall back to the bundled model. */
export async function refreshModels(): Promise<void> {
  try {
    usage.value = await desk.call("usage", undefined);
  } catch (error) {
    say(`This browser stores no models for this page (${(error as Error).message}).`);
    return;
  }
  const there = new Set(usage.value.models.map((m) => m.id));
  const s = settings.value;
  const gone = (id: string) => id !== "" && !id.startsWith(BUNDLED) && !there.has(id);
  if (gone(s.model)) change({ model: BUNDLED });
  if (gone(s.motion)) change({ motion: "" });
  if (gone(s.vae)) change({ vae: "" });
  if (gone(s.controlModel)) change({ control: "none", controlModel: DEFAULTS.controlModel });
  if (s.embeddings.some(gone)) change({ embeddings: s.embeddings.filter((id) => !gone(id)) });
  if (s.likenesses.some((l) => gone(l.id))) change({ likenesses: s.likenesses.filter((l) => !gone(l.id)) });
  if (s.loras.some((l) => gone(l.id))) change({ loras: s.loras.filter((l) => !gone(l.id)) });
}

/** Gives back the room of imports that were cut off. */
export async function tidyModels(): Promise<void> {
  const found = await desk.call("tidy", undefined).catch(() => false);
  if (found) say("An import had been cut off; what it left has been removed. Add its files again.");
}

/** Stores the models among files. */
export async function addFiles(files: readonly GivenFile[]): Promise<void> {
  if (importing.value) return say("Files are being added already; wait until they are.", "error");
  const controller = new AbortController();
  importing.value = { name: "", doneBytes: 0, totalBytes: 1, controller };
  void navigator.storage.persist?.();
  try {
    const { added, refused } = await desk.call("add", files, {
      signal: controller.signal,
      onEvent: (event) => (importing.value = { ...event, controller }),
    });
    for (const sentence of refused) say(sentence, "error");
    for (const { name, role } of added) say(`${name} is stored, as ${NOUNS[role]}.`);
    const model = added.find((m) => m.role === "model");
    const motion = added.find((m) => m.role === "motion");
    if (model) change({ model: model.id });
    if (motion) change({ motion: motion.id });
    const loras = added.filter((m) => m.role === "lora").map(({ id }) => ({ id, weight: 1 }));
    const words = added.filter((m) => m.role === "embedding").map((m) => m.id);
    if (words.length > 0) change({ embeddings: [...settings.value.embeddings, ...words] });
    const control = added.find((m) => m.role === "control");
    if (control) change({ control: "pictures", controlModel: control.id });
    const sparse = added.find((m) => m.role === "sparse");
    if (sparse) change({ control: "keys", controlModel: sparse.id });
    const likenesses = added
      .filter((m) => m.role === "ip-adapter")
      .map(({ id }) => ({ id, scale: 1, start: 0, end: 1 }));
    if (likenesses.length > 0) change({ likenesses: [...settings.value.likenesses, ...likenesses] });
    if (loras.length > 0) change({ loras: [...settings.value.loras, ...loras] });
  } catch (error) {
    if (!controller.signal.aborted) say((error as Error).message, "error");
  } finally {
    importing.value = undefined;
    await refreshModels();
  }
}

export const NOUNS = {
  model: "a model",
  motion: "a motion module",
  lora: "a LoRA",
  vae: "a VAE",
  control: "a control network",
  sparse: "a control network for key frames",
  "ip-adapter": "an IP-Adapter",
  "image-encoder": "an image encoder",
  embedding: "an embedding: its name is a word now",
} as const;

export async function deleteModel(id: string): Promise<void> {
  await desk.call("remove", id);
  await refreshModels();
}

export async function verifyModel(id: string, name: string): Promise<void> {
  const controller = new AbortController();
  importing.value = { name, doneBytes: 0, totalBytes: 1, controller };
  try {
    const damaged = await desk.call("verify", id, {
      signal: controller.signal,
      onEvent: (event) => (importing.value = { ...event, controller }),
    });
    if (damaged.length === 0) say(`${name}: every checksum is as it was when the files were added.`);
    else say(`${name} is damaged in ${damaged.join(", ")}; delete it and add its files again.`, "error");
  } catch (error) {
    if (!controller.signal.aborted) say((error as Error).message, "error");
  } finally {
    importing.value = undefined;
  }
}

export function encode(request: EncodeRequest, stop?: AbortSignal): Promise<Blob> {
  return desk.call("encode", request, { signal: stop });
}

/** The frames of a picture, an animation or a video, at a run's size and rate. */
export function decode(request: DecodeRequest, stop?: AbortSignal): Promise<Decoded> {
  return desk.call("decode", request, { signal: stop });
}

/** @throws Error where the file carries no recipe */
export function recipeOfFile(blob: Blob, name: string): Promise<Recipe> {
  return desk.call("recipe", { blob, name });
}

export function formatsOf(width: number, height: number): Promise<DeskCalls["formats"]["result"]> {
  return desk.call("formats", { width, height });
}
