// The checker against models/shapes/train/checker.py, on the same clips (test/reference/shapes_checker.py).

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkShapes, type Finding } from "../../../src/cli/shapes/checker.js";
import { background, BACKGROUNDS, distance, SHAPES, SIZE } from "../../../src/cli/shapes/drawing.js";
import { eroded, largestPart } from "../../../src/cli/shapes/masks.js";
import { frameOf, type Clip } from "../../../src/io/frames.js";
import { readVideo } from "../../../src/io/video-file.js";
import { fixturePath } from "../../support/fixtures.js";

interface Case {
  readonly clip: string;
  readonly order: readonly number[];
  readonly found: Omit<Finding, "backgroundError"> & { readonly background_error: number };
}
const { cases, pixels, distances } = JSON.parse(readFileSync(fixturePath("shapes-checker.json"), "utf8")) as {
  readonly cases: readonly Case[];
  readonly pixels: Readonly<Record<string, readonly (readonly (readonly number[])[])[]>>;
  readonly distances: Readonly<Record<string, readonly (readonly number[])[]>>;
};

function reordered(clip: Clip, order: readonly number[]): Clip {
  const rgba = new Uint8Array(clip.rgba.length);
  order.forEach((from, to) => rgba.set(frameOf(clip, from).rgba, to * SIZE * SIZE * 4));
  return { ...clip, rgba };
}

describe("drawing", () => {
  it.each(BACKGROUNDS)("paints the %s as the training data has it", (name) => {
    const b = background(name);
    pixels[name]!.forEach((row, y) =>
      row.forEach((rgb, x) => rgb.forEach((v, k) => expect(b[(y * 9 * SIZE + x * 9) * 3 + k]).toBeCloseTo(v, 2))),
    );
  });

  it.each(SHAPES)("knows the distance to a %s", (shape) => {
    distances[shape]!.forEach((row, j) =>
      row.forEach((d, i) => expect(distance(shape, i * 8 - 32, j * 8 - 32, 20)).toBeCloseTo(d, 3)),
    );
  });
});

describe("checker", () => {
  it.each(cases.map((c) => [c.clip.split("/").at(-1)!, c.order.slice(0, 3).join(" "), c] as const))(
    "%s, frames %s …",
    async (_name, _order, { clip, order, found }) => {
      const path = fileURLToPath(new URL(`../../../${clip}`, import.meta.url));
      const mine = checkShapes(reordered(await readVideo(path, { fps: 8, frames: 16 }), order));
      const { background_error: backgroundError, ...rest } = found;
      const { background: b, colour, shape, motion } = rest;
      expect(mine).toMatchObject({ background: b, colour, shape, motion, visible: found.visible });
      // A pixel of an outline may fall on the other side: arithmetic is f64 here, f32 there.
      for (const key of ["iou", "dx", "dy", "ratio", "jitter"] as const) expect(mine[key]).toBeCloseTo(found[key], 2);
      expect(mine.backgroundError).toBeCloseTo(backgroundError, 3);
    },
  );

  it("finds nothing where there is nothing, and knows one size", () => {
    const empty = background("sunset");
    const rgba = Uint8Array.from({ length: 16 * SIZE * SIZE * 4 }, (_, i) =>
      i % 4 === 3 ? 255 : Math.floor(empty[(Math.floor(i / 4) % (SIZE * SIZE)) * 3 + (i % 4)]! + 0.5),
    );
    const found = checkShapes({ width: SIZE, height: SIZE, count: 16, rgba });
    expect(found).toMatchObject({
      background: "sunset",
      colour: undefined,
      shape: undefined,
      motion: "none",
      visible: 0,
    });
    expect(() => checkShapes({ width: 64, height: 64, count: 1, rgba: new Uint8Array(64 * 64 * 4) })).toThrow(
      /128x128/,
    );
  });
});

describe("masks", () => {
  const draw = (rows: readonly string[]) => Uint8Array.from(rows.join(""), (c) => (c === "#" ? 1 : 0));
  it("keep the largest part and fill its holes", () => {
    const mask = draw(["##...", "##.##", "...#.", "####.", "#.##."]);
    expect([...largestPart(mask, 5)]).toEqual([...draw([".....", "...##", "...#.", "####.", "#.##."])]);
    const ring = draw([".....", ".###.", ".#.#.", ".###.", "....."]);
    expect([...largestPart(ring, 5)]).toEqual([...draw([".....", ".###.", ".###.", ".###.", "....."])]);
  });
  it("are eroded from the picture's border too", () => {
    expect([...eroded(new Uint8Array(25).fill(1), 1)]).toEqual([
      ...draw([".....", ".###.", ".###.", ".###.", "....."]),
    ]);
  });
});
