// A clip as a file, in the formats that the library writes and those that the browser adds.

import { strToU8, zipSync } from "fflate";
import { encodeApng, encodeGif, encodePng, recipeTexts, recipeToCommand, type Frames } from "../../index.js";
import type { EncodeRequest, Format } from "./protocol.js";
import { encodesWebp, encodeWebp } from "./webp.js";

export const TYPES: Readonly<Record<Format, string>> = {
  apng: "image/png",
  png: "image/png",
  gif: "image/gif",
  webp: "image/webp",
  mp4: "video/mp4",
  webm: "video/webm",
  zip: "application/zip",
};

/** Frame `index` alone; shares memory. */
function frameOf({ width, height, rgba }: Frames, index: number): { width: number; height: number; rgba: Uint8Array } {
  const bytes = width * height * 4;
  return { width, height, rgba: rgba.subarray(index * bytes, (index + 1) * bytes) };
}

/** @throws Error where this browser cannot encode the format */
export async function encode(request: EncodeRequest, signal: AbortSignal): Promise<Blob> {
  const { format, frames, fps, recipe } = request;
  const texts = recipeTexts(recipe);
  switch (format) {
    case "apng":
      return blob(format, await encodeApng(frames, { fps, texts, signal }));
    case "gif":
      return blob(format, encodeGif(frames, { fps, texts, signal }));
    case "png":
      return blob(format, await encodePng(frameOf(frames, request.frame ?? 0), texts));
    case "zip":
      return zipOfFrames(request, signal);
    case "webp":
      return blob(format, await encodeWebp(frames, { fps, texts, signal }));
    case "mp4":
    case "webm":
      return blob(format, await (await import("./video.js")).encodeVideo(format, frames, { fps, recipe, signal }));
  }
}

function blob(format: Format, bytes: Uint8Array): Blob {
  return new Blob([bytes as Uint8Array<ArrayBuffer>], { type: TYPES[format] });
}

/** PNG frames, and the recipe as text. Not compressed again: PNG is. */
async function zipOfFrames({ frames, recipe }: EncodeRequest, signal: AbortSignal): Promise<Blob> {
  const texts = recipeTexts(recipe);
  const files: Record<string, Uint8Array> = {
    "recipe.json": strToU8(`${JSON.stringify(recipe, null, 2)}\n`),
    "recipe.txt": strToU8(`${recipeToCommand(recipe)}\n`),
  };
  for (let i = 0; i < frames.count; i++) {
    signal.throwIfAborted();
    files[`frame-${String(i).padStart(4, "0")}.png`] = await encodePng(frameOf(frames, i), texts);
  }
  return blob("zip", zipSync(files, { level: 0 }));
}

/** Formats that this browser can make of clips of this size, in the order in which they are offered. */
export async function formats(size: { readonly width: number; readonly height: number }): Promise<readonly Format[]> {
  const all: Format[] = ["apng", "gif"];
  if (await encodesWebp()) all.push("webp");
  if ("VideoEncoder" in globalThis) {
    const { videoCodec } = await import("./video.js");
    for (const container of ["mp4", "webm"] as const) if (await videoCodec(container, size)) all.push(container);
  }
  return [...all, "zip", "png"];
}
