// Parts of the picture with sentences of their own, as they are drawn: rectangles in fractions of the picture. Pure functions.

/** A rectangle from the top left, 0 … 1, and what it shows. */
export interface Region {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
export type Place = Omit<Region, "text">;

/** Smallest side of a region: about one cell of the UNet's widest map. */
export const LEAST = 0.06;
/** How near an edge or the middle pulls. */
const PULL = 0.025;

function digits(n: number): number {
  return Math.round(n * 100) / 100;
}

/** The edge of the picture, or its middle, that is near. */
function pulled(at: number): number | undefined {
  return [0, 0.5, 1].find((p) => Math.abs(at - p) <= PULL);
}

/** Onto the picture's edges and middle where it is near them, else to whole per cents. */
function snapped(at: number): number {
  return pulled(at) ?? digits(Math.min(1, Math.max(0, at)));
}

/** The rectangle between two corners, whichever they are. */
export function between(x0: number, y0: number, x1: number, y1: number): Place {
  const [a, b, c, d] = [x0, y0, x1, y1].map(snapped) as [number, number, number, number];
  const [x, y] = [Math.min(a, c), Math.min(b, d)];
  return { x, y, width: digits(Math.max(a, c) - x), height: digits(Math.max(b, d) - y) };
}

/** Moved, and kept whole in the picture. */
export function moved(p: Place, dx: number, dy: number): Place {
  const along = (at: number, size: number, by: number) => {
    const to = Math.min(1 - size, Math.max(0, at + by));
    const end = pulled(to + size);
    return digits(pulled(to) ?? (end === undefined ? to : end - size));
  };
  return { ...p, x: along(p.x, p.width, dx), y: along(p.y, p.height, dy) };
}

/** Its right and lower edge moved. */
export function resized(p: Place, dw: number, dh: number): Place {
  const side = (at: number, size: number, by: number) => digits(Math.min(1 - at, Math.max(LEAST, size + by)));
  return { ...p, width: side(p.x, p.width, dw), height: side(p.y, p.height, dh) };
}

const PLACES: readonly Place[] = [
  { x: 0.5, y: 0, width: 0.5, height: 1 },
  { x: 0, y: 0, width: 0.5, height: 1 },
  { x: 0, y: 0, width: 1, height: 0.5 },
  { x: 0, y: 0.5, width: 1, height: 0.5 },
];

/** Where a region goes that is not drawn: a half of the picture that has none yet. */
export function freePlace(regions: readonly Place[]): Place {
  const taken = (p: Place) => regions.some((r) => r.x === p.x && r.y === p.y && r.width === p.width);
  return PLACES.find((p) => !taken(p)) ?? { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };
}

/** What of a value from outside is regions: rectangles with an area, inside the picture. */
export function regionsFrom(value: unknown): readonly Region[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((r: Partial<Region> | null) => {
    const { text, x, y, width, height } = r ?? {};
    const unit = (n: unknown): n is number => typeof n === "number" && n >= 0 && n <= 1;
    if (typeof text !== "string" || !unit(x) || !unit(y) || !unit(width) || !unit(height)) return [];
    const fits = width > 0 && height > 0 && x + width <= 1 + 1e-6 && y + height <= 1 + 1e-6;
    return fits ? [{ text, x, y, width, height }] : [];
  });
}

/** As the command line writes it: "0.5,0,0.5,1:a green star". */
export function regionText({ text, x, y, width, height }: Region): string {
  return `${x},${y},${width},${height}:${text}`;
}

/**
 * What `regionText` or the command line wrote, in a picture of this size: pixels become fractions. Undefined for a mask, which is
 * a file elsewhere, and for what is none.
 */
export function regionOf(
  written: string,
  size: { readonly width: number; readonly height: number },
): Region | undefined {
  const [, numbers = "", text = ""] = /^([\d.,\s]+):(.*)$/s.exec(written) ?? [];
  const area = numbers.split(",").map(Number);
  if (area.length !== 4 || text.trim() === "") return undefined;
  const [x, y, width, height] = area as [number, number, number, number];
  const pixels = area.some((n) => n > 1);
  const scaled = pixels
    ? { x: x / size.width, y: y / size.height, width: width / size.width, height: height / size.height }
    : { x, y, width, height };
  return regionsFrom([{ text, ...scaled }])[0];
}
