// AnimateLCM-I2V's colour matching: each frame's mean hue, saturation and value are moved towards those of the picture, in
// OpenCV's 8-bit HSV (hue 0 … 180). Source: G-U-N/AnimateLCM utils/util.py, adjust_colors; OpenCV's own arithmetic.

import type { Clip, Picture } from "./frames.js";
import { roundHalfEven } from "./resample.js";

/** How far the mean difference is followed, and where the channel ends. */
const CHANNELS = [
  { share: 0.03, top: 180 },
  { share: 1, top: 255 },
  { share: 1, top: 255 },
] as const;

/** The clip's frames with their mean colours matched to the picture's. Opacity stays. */
export function matchColours(clip: Clip, picture: Picture): Clip & { readonly rgba: Uint8Array<ArrayBuffer> } {
  const wanted = means(toHsv(picture.rgba));
  const rgba = new Uint8Array(clip.rgba);
  const bytes = clip.width * clip.height * 4;
  for (let i = 0; i < clip.count; i++) {
    const frame = rgba.subarray(i * bytes, (i + 1) * bytes);
    const hsv = toHsv(frame);
    const own = means(hsv);
    for (const [k, { share, top }] of CHANNELS.entries()) {
      const shift = share * (wanted[k]! - own[k]!);
      // Assigned to 8 bits, numpy cuts off the fraction.
      for (let p = k; p < hsv.length; p += 3) hsv[p] = Math.trunc(Math.min(top, Math.max(0, hsv[p]! + shift)));
    }
    fromHsv(hsv, frame);
  }
  return { width: clip.width, height: clip.height, count: clip.count, rgba };
}

function means(hsv: Uint8Array): readonly [number, number, number] {
  const sums: [number, number, number] = [0, 0, 0];
  for (let p = 0; p < hsv.length; p += 3) for (let k = 0; k < 3; k++) sums[k]! += hsv[p + k]!;
  const n = hsv.length / 3;
  return [sums[0] / n, sums[1] / n, sums[2] / n];
}

const SHIFT = 12;
const ROUND = 1 << (SHIFT - 1);

/** RGBA bytes as HSV bytes, by OpenCV's integer tables. */
export function toHsv(rgba: Uint8Array): Uint8Array {
  const perValue = Int32Array.from({ length: 256 }, (_, i) => (i === 0 ? 0 : roundHalfEven((255 << SHIFT) / i)));
  const perRange = Int32Array.from({ length: 256 }, (_, i) => (i === 0 ? 0 : roundHalfEven((180 << SHIFT) / (6 * i))));
  const hsv = new Uint8Array((rgba.length / 4) * 3);
  for (let i = 0, o = 0; i < rgba.length; i += 4, o += 3) {
    const [r, g, b] = [rgba[i]!, rgba[i + 1]!, rgba[i + 2]!];
    const v = Math.max(r, g, b);
    const range = v - Math.min(r, g, b);
    const s = (range * perValue[v]! + ROUND) >> SHIFT;
    const sector = v === r ? g - b : v === g ? b - r + 2 * range : r - g + 4 * range;
    const h = (sector * perRange[range]! + ROUND) >> SHIFT;
    hsv[o] = h < 0 ? h + 180 : h;
    hsv[o + 1] = s;
    hsv[o + 2] = v;
  }
  return hsv;
}

/**
 * HSV bytes into RGBA bytes, in f32 as OpenCV's vectorised loop has it, which cuts fractions off (the loop for what is left of
 * a row rounds them).
 */
export function fromHsv(hsv: Uint8Array, rgba: Uint8Array): void {
  const f = Math.fround;
  const perHue = f(6 / 180);
  const unit = f(1 / 255);
  for (let i = 0, o = 0; i < hsv.length; i += 3, o += 4) {
    const s = f(hsv[i + 1]! * unit);
    const v = f(hsv[i + 2]! * unit);
    let h = f(hsv[i]! * perHue);
    let sector = Math.floor(h);
    h = f(h - sector);
    sector %= 6;
    const p = f(v * f(1 - s));
    const q = f(v * f(1 - s * h)); // one fused operation there: products are not rounded
    const t = f(v * f(1 - s * f(1 - h)));
    const [r, g, b] = [
      [v, t, p],
      [q, v, p],
      [p, v, t],
      [p, q, v],
      [t, p, v],
      [v, p, q],
    ][sector]! as [number, number, number];
    rgba[o] = f(r * 255);
    rgba[o + 1] = f(g * 255);
    rgba[o + 2] = f(b * 255);
  }
}
