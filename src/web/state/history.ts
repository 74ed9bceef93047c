// Clips made so far: a list of entries with small strips of pictures in memory, the frames themselves in IndexedDB,
// compressed, read when a clip is looked at.

import { signal } from "@preact/signals";
import type { Frames, Recipe } from "../../index.js";
import type { RunResult } from "../engine/protocol.js";
import { database, done, type StoredClip } from "./database.js";
import type { Inputs, Source } from "./inputs.js";
import { settingsFrom, type Settings } from "./defaults.js";
import { stripOf } from "./strip.js";
import { say } from "./toasts.js";

/** A clip without its frames. */
export interface Clip {
  readonly id: string;
  readonly settings: Settings;
  readonly recipe: Recipe;
  readonly width: number;
  readonly height: number;
  readonly count: number;
  readonly seconds: RunResult["seconds"];
  readonly peakBytes: number;
  readonly made: number;
  /** What it was made from. */
  readonly inputs: Inputs;
  /** Object URL of all frames side by side, small; undefined until drawn. */
  readonly strip: string | undefined;
}

/** Newest first. */
export const clips = signal<readonly Clip[]>([]);

/** Frames of the clips looked at last. */
const recent = new Map<string, Frames>();
const RECENT = 4;

function remember(id: string, frames: Frames): void {
  recent.delete(id);
  recent.set(id, frames);
  for (const old of recent.keys()) {
    if (recent.size <= RECENT) return;
    recent.delete(old);
  }
}

/** Adds a finished run; storing it goes on in the background. */
export function keep(settings: Settings, result: RunResult, inputs: Inputs): Clip {
  const { frames, recipe, seconds, peakBytes } = result;
  const { width, height, count } = frames;
  const made = Date.now();
  const id = `${made}-${Math.random().toString(36).slice(2, 8)}`;
  const clip: Clip = { id, settings, recipe, width, height, count, seconds, peakBytes, made, inputs, strip: undefined };
  remember(id, frames);
  clips.value = [clip, ...clips.value];
  void store(clip, frames);
  return clip;
}

async function store(clip: Clip, frames: Frames): Promise<void> {
  const { id } = clip;
  const here = () => clips.peek().some((c) => c.id === id);
  try {
    const strip = await stripOf(frames);
    if (here()) {
      const url = URL.createObjectURL(strip);
      clips.value = clips.value.map((c) => (c.id === id ? { ...c, strip: url } : c));
    }
    const packed = await new Response(
      new Blob([frames.rgba]).stream().pipeThrough(new CompressionStream("deflate-raw")),
    ).blob();
    const { strip: _, ...rest } = clip;
    const record: StoredClip = { ...rest, strip, packed };
    const db = await database();
    // It may have been deleted meanwhile: transactions follow one another in the order in which they are made.
    if (here()) await done(db.transaction("clips", "readwrite").objectStore("clips").put(record));
  } catch (error) {
    say(
      error instanceof DOMException && error.name === "QuotaExceededError"
        ? "The browser's storage is full: this clip is here until the page is closed. Save it, or delete older clips or models."
        : `This clip could not be stored (${(error as Error).message}); save it before you close the page.`,
      "error",
    );
  }
}

function withoutFrames<C extends { readonly packed?: Blob }>({ packed: _packed, ...clip }: C): Omit<C, "packed"> {
  return clip;
}

/** Clips of earlier versions of the page knew one source alone. */
function inputsIn(clip: { readonly inputs?: Inputs; readonly source?: Source }): Inputs {
  return clip.inputs ?? { start: clip.source };
}

/** Reads the list. */
export async function loadHistory(): Promise<void> {
  try {
    const db = await database();
    const records = await done<StoredClip[]>(db.transaction("clips").objectStore("clips").getAll());
    const old = records.map(({ strip, ...clip }) => ({
      ...withoutFrames(clip),
      inputs: inputsIn(clip),
      settings: settingsFrom(clip.settings),
      strip: URL.createObjectURL(strip),
    }));
    const fresh = clips.value.filter((c) => !old.some((o) => o.id === c.id));
    clips.value = [...fresh, ...old.toSorted((a, b) => b.made - a.made)];
  } catch {
    say("This browser keeps no data for this page: clips are gone when it is closed.");
  }
}

/** A clip's frames. @throws Error where the browser has dropped them */
export async function framesOf(clip: Clip): Promise<Frames> {
  const here = recent.get(clip.id);
  if (here) {
    remember(clip.id, here);
    return here;
  }
  const db = await database();
  const record = await done<StoredClip | undefined>(db.transaction("clips").objectStore("clips").get(clip.id));
  if (!record) throw new Error("the browser has dropped this clip's frames; make it again from its settings");
  const stream = record.packed.stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const rgba = new Uint8Array(await new Response(stream).arrayBuffer());
  const frames: Frames = { width: clip.width, height: clip.height, count: clip.count, rgba };
  remember(clip.id, frames);
  return frames;
}

export async function remove(clip: Clip): Promise<void> {
  const { strip } = clips.peek().find((c) => c.id === clip.id) ?? clip;
  clips.value = clips.value.filter((c) => c.id !== clip.id);
  recent.delete(clip.id);
  if (strip !== undefined) URL.revokeObjectURL(strip);
  const db = await database();
  await done(db.transaction("clips", "readwrite").objectStore("clips").delete(clip.id));
}
