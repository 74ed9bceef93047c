// A clip as one small picture, its frames side by side: the history's flip books are this strip moved behind a window.

import type { Frames } from "../../index.js";

/** Height of a strip, in pixels. */
const HEIGHT = 96;

export async function stripOf({ width, height, count, rgba }: Frames): Promise<Blob> {
  const scale = HEIGHT / height;
  const w = Math.max(1, Math.round(width * scale));
  const canvas = new OffscreenCanvas(w * count, HEIGHT);
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  const bytes = width * height * 4;
  for (let i = 0; i < count; i++) {
    const data = new Uint8ClampedArray(rgba.buffer, rgba.byteOffset + i * bytes, bytes);
    const bitmap = await createImageBitmap(new ImageData(data, width, height));
    context.drawImage(bitmap, i * w, 0, w, HEIGHT);
    bitmap.close();
  }
  return canvas.convertToBlob({ type: "image/webp", quality: 0.85 });
}
