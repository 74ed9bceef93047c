// A clip as one small picture, its frames side by side: the history's flip books are this strip moved behind a window.

import type { Frames } from "../../index.js";

/** Height of a strip, in pixels. */
const HEIGHT = 96;
/** WebP's widest picture. */
const WIDEST = 16383;

type Size = Pick<Frames, "width" | "height" | "count">;

function pageWidth({ width, height }: Size): number {
  return Math.max(1, Math.round((width * HEIGHT) / height));
}

/** Frames in a clip's strip: all, or as many as there is room for, evenly taken. */
export function pagesOf(clip: Size): number {
  return Math.max(1, Math.min(clip.count, Math.floor(WIDEST / pageWidth(clip))));
}

export async function stripOf(frames: Frames): Promise<Blob> {
  const { width, height, count, rgba } = frames;
  const [w, pages] = [pageWidth(frames), pagesOf(frames)];
  const canvas = new OffscreenCanvas(w * pages, HEIGHT);
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  const bytes = width * height * 4;
  for (let page = 0; page < pages; page++) {
    const at = Math.floor((page * count) / pages) * bytes;
    const data = new Uint8ClampedArray(rgba.buffer, rgba.byteOffset + at, bytes);
    const bitmap = await createImageBitmap(new ImageData(data, width, height));
    context.drawImage(bitmap, page * w, 0, w, HEIGHT);
    bitmap.close();
  }
  return canvas.convertToBlob({ type: "image/webp", quality: 0.85 });
}
