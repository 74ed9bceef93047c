// Parts of the picture as they are drawn, moved, written and read again.

import { expect, it } from "vitest";
import { DEFAULTS } from "../../src/web/state/defaults.js";
import {
  between,
  freePlace,
  LEAST,
  moved,
  regionOf,
  regionsFrom,
  regionText,
  resized,
} from "../../src/web/state/regions.js";
import { requestOf } from "../../src/web/state/request.js";
import { fromRecipe } from "../../src/web/state/restore.js";

const half = { x: 0.5, y: 0, width: 0.5, height: 1 };

it("draws between any two corners, pulled onto edges and the middle", () => {
  expect(between(0.98, 1.2, 0.512, -0.3)).toEqual(half);
  expect(between(0.1, 0.2, 0.333, 0.777)).toEqual({ x: 0.1, y: 0.2, width: 0.23, height: 0.58 });
});

it("moves and sizes within the picture", () => {
  expect(moved(half, -0.2, 0.4)).toEqual({ ...half, x: 0.3 });
  expect(moved(half, 3, -3)).toEqual(half);
  const part = { x: 0.2, y: 0.2, width: 0.29, height: 0.2 };
  expect(moved(part, 0.02, 0.1)).toEqual({ ...part, x: 0.21, y: 0.3 }); // its right edge is pulled to the middle
  expect(resized(part, 2, -2)).toEqual({ ...part, width: 0.8, height: LEAST });
});

it("puts a new one where there is none", () => {
  expect(freePlace([])).toEqual(half);
  expect(freePlace([half])).toEqual({ ...half, x: 0 });
});

it("is written as the command line writes it and read again, pixels too, masks and nonsense not", () => {
  const region = { text: "a star: green, 2", ...half };
  expect(regionText(region)).toBe("0.5,0,0.5,1:a star: green, 2");
  const size = { width: 128, height: 256 };
  expect(regionOf(regionText(region), size)).toEqual(region);
  expect(regionOf("64, 0, 64, 256:a star: green, 2", size)).toEqual(region);
  for (const none of ["mask.png:a star", "0,0,0.5:a", "0,0,0,1:a", "0.6,0,0.5,1:a", "0,0,1,1: "])
    expect(regionOf(none, size), none).toBeUndefined();
  expect(regionsFrom([region, null, { ...region, x: "0" }, { ...region, width: 0.6 }, 3])).toEqual([region]);
  expect(regionsFrom("all")).toEqual([]);
});

it("comes back from a recipe and goes to the engine; without a sentence it does not", () => {
  const recipe = { prompt: "x", size: "64x64", region: ["0.5,0,0.5,1:a heart", "mask.png:a ship"], regionBase: 0.3 };
  const { settings, missing } = fromRecipe(recipe, []);
  expect(settings).toMatchObject({ regions: [{ text: "a heart", ...half }], regionBase: 0.3 });
  expect(missing).toEqual(["the mask of mask.png:a ship"]);
  expect(requestOf(settings, false).options).toMatchObject({ regions: settings.regions, regionBase: 0.3 });
  const silent = { ...DEFAULTS, regions: [{ text: " ", ...half }] };
  expect(requestOf(silent, false).options).not.toHaveProperty("regions");
});
