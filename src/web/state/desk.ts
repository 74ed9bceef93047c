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
import { chooseModel } from "./limits.js";
import { isId, withStored } from "./names.js";
import { change, settings } from "./settings.js";
import { released } from "../store/locks.js";
import type { Manifest } from "../store/read.js";
import { say } from "./toasts.js";

const desk = new Client<DeskCalls>(
  () => new Worker(new URL("../desk/worker.ts", import.meta.url), { type: "module", name: "desk" }),
);

export const usage = signal<Usage>({ models: [], unfinished: [], usedBytes: 0, freeBytes: 0 });

/** What is being added, downloaded or checked, since when and from where on. */
export interface Importing extends ImportEvent {
  readonly from: "files" | "hub";
  readonly controller: AbortController;
  readonly since: number;
  readonly fromBytes: number;
}

export const importing = signal<Importing | undefined>(undefined);

/** Shows an import; what its worker tells goes to `onEvent`. */
export function follow(
  name = "",
  from: Importing["from"] = "files",
): { readonly signal: AbortSignal; readonly onEvent: (event: ImportEvent) => void } {
  const controller = new AbortController();
  let begun: Pick<Importing, "since" | "fromBytes"> | undefined;
  importing.value = { name, from, doneBytes: 0, totalBytes: 1, controller, since: performance.now(), fromBytes: 0 };
  return {
    signal: controller.signal,
    onEvent: (event) => {
      if (!begun && usage.peek().unfinished.length > 0) void readUsage(); // one that was cut off is under way now
      begun ??= { since: performance.now(), fromBytes: event.doneBytes };
      importing.value = { ...event, from, controller, ...begun };
    },
  };
}

/** Whether it has been looked what is stored; before, nothing can be said to be missing. */
let known = false;

async function readUsage(): Promise<boolean> {
  try {
    usage.value = await desk.call("usage", undefined);
    return true;
  } catch (error) {
    say(`This browser stores no models for this page (${(error as Error).message}).`);
    return false;
  } finally {
    known = true;
  }
}

/** The stored models, once they are known. */
export async function storedModels(): Promise<Usage["models"]> {
  if (!known) await readUsage();
  return usage.peek().models;
}

/** Reads what is stored; settings that name what is not there fall back, and names are resolved. */
export async function refreshModels(): Promise<void> {
  if (await readUsage()) settleModels();
}

/** Puts in the settings what is stored here for the models that they name. What was asked for by name and is missing is said. */
export function settleModels(): void {
  if (!known) return; // it is done once it is
  const { settings: settled, missing } = withStored(settings.peek(), usage.peek().models);
  if (settled === settings.peek()) return;
  settings.value = settled;
  const named = missing.filter((name) => !isId(name));
  if (named.length > 0) say(`Not in this browser: ${named.join(", ")}. Add them under Models.`, "error");
}

/** Reads what is stored when the page opens: gives back what is of no use, and says what was cut off. */
export async function openModels(): Promise<void> {
  await desk.call("tidy", undefined).catch(() => undefined);
  await refreshModels();
  for (const unfinished of usage.value.unfinished) void tellCutOff(unfinished);
}

/** A page that was just left may hold an import for a moment yet, another tab for longer. */
async function tellCutOff({ id, name, underWay }: Usage["unfinished"][number]): Promise<void> {
  if (underWay) {
    await released(id);
    await refreshModels();
    if (!usage.value.unfinished.some((u) => u.id === id && !u.underWay)) return;
  }
  say(`“${name}” was cut off while it was added; go on with it under Models.`);
}

/** Stores the models among files. */
export async function addFiles(files: readonly GivenFile[]): Promise<void> {
  if (importing.value) return say("Files are being added already; wait until they are.", "error");
  const begun = new Set(usage.value.unfinished.filter((u) => !u.hub).map((u) => u.name));
  const call = follow();
  void navigator.storage.persist?.();
  try {
    const { added, refused } = await desk.call("add", files, call);
    for (const sentence of refused) say(sentence, "error");
    adopt(added, (name) => (begun.has(name) ? ", gone on with from where it was cut off" : ""));
  } catch (error) {
    if (call.signal.aborted) say("Stopped. What is there is kept under Models: give the same files again to go on.");
    else say((error as Error).message, "error");
  } finally {
    importing.value = undefined;
    await refreshModels();
  }
}

/** Makes a model of a download that is all there. */
export async function finishDownload(id: string): Promise<void> {
  adopt([await desk.call("finish", id)]);
}

/** New models are put to use at once. `note` is added to what is said of one. */
function adopt(added: readonly Manifest[], note: (name: string) => string = () => ""): void {
  for (const { name, role } of added) say(`“${name}” is stored, as ${NOUNS[role]}${note(name)}.`);
  const model = added.find((m) => m.role === "model");
  const motion = added.find((m) => m.role === "motion");
  if (model) chooseModel(model.id);
  if (motion) change({ motion: motion.id });
  const loras = added.filter((m) => m.role === "lora").map(({ id }) => ({ id, weight: 1 }));
  const words = added.filter((m) => m.role === "embedding").map((m) => m.id);
  if (words.length > 0) change({ embeddings: [...settings.value.embeddings, ...words] });
  const control = added.find((m) => m.role === "control");
  if (control) change({ control: "pictures", controlModel: control.id });
  const sparse = added.find((m) => m.role === "sparse");
  if (sparse) change({ control: "keys", controlModel: sparse.id });
  const likenesses = added.filter((m) => m.role === "ip-adapter").map(({ id }) => ({ id, scale: 1, start: 0, end: 1 }));
  if (likenesses.length > 0) change({ likenesses: [...settings.value.likenesses, ...likenesses] });
  if (loras.length > 0) change({ loras: [...settings.value.loras, ...loras] });
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
  try {
    await desk.call("remove", id);
  } catch (error) {
    say((error as Error).message, "error");
  }
  await refreshModels();
}

export async function verifyModel(id: string, name: string): Promise<void> {
  const call = follow(name);
  try {
    const damaged = await desk.call("verify", id, call);
    if (damaged.length === 0) say(`“${name}”: every checksum is as it was when the files were added.`);
    else say(`“${name}” is damaged in ${damaged.join(", ")}; delete it and add its files again.`, "error");
  } catch (error) {
    if (!call.signal.aborted) say((error as Error).message, "error");
  } finally {
    importing.value = undefined;
  }
}

export function encode(request: EncodeRequest): Promise<Blob> {
  return desk.call("encode", request);
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
