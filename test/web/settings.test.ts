// Settings through links and recipes and back, without a browser.

import { afterAll, beforeAll, expect, it } from "vitest";
import * as defaults from "../../src/web/state/defaults.js";
import * as names from "../../src/web/state/names.js";
import * as request from "../../src/web/state/request.js";
import * as restore from "../../src/web/state/restore.js";
import * as share from "../../src/web/state/share.js";

const s = { ...defaults, ...names, ...request, ...restore, ...share };

beforeAll(() => {
  Object.assign(globalThis, { location: new URL("http://localhost/studio/?a=1") });
});

afterAll(() => {
  // Other files share this worker.
  Reflect.deleteProperty(globalThis, "location");
});

it("goes through a share link unchanged", () => {
  const wanted = {
    ...s.DEFAULTS,
    prompt: 'a "star" & 50 % more – 星',
    seed: "18446744073709551615",
    width: 192,
    guidance: 2.5,
    scheduler: "euler" as const,
  };
  const link = s.shareLink(wanted, []);
  expect(link).toMatch(/^http:\/\/localhost\/studio\/\?a=1#s=/);
  expect(s.fromLink(new URL(link).hash)).toEqual(wanted);
  expect(s.fromLink("#s=%7Bnot json")).toBeUndefined();
  expect(s.fromLink("#models")).toBeUndefined();
});

it("takes of foreign settings only what has the right type", () => {
  expect(s.settingsFrom({ steps: "9", prompt: 3, frames: 8, loras: {}, evil: 1 })).toEqual({
    ...s.DEFAULTS,
    frames: 8,
  });
  expect(s.settingsFrom(null)).toEqual(s.DEFAULTS);
});

it("restores a recipe of the command line, naming what is not here", () => {
  const { settings, missing } = s.fromRecipe(
    {
      prompt: "x",
      model: "/home/me/models/dream.safetensors",
      motion: "C:\\models\\lcm.ckpt",
      lora: ["hf:me/loras@v1/pan.safetensors:0.8", "zoom.safetensors:1"],
      seed: "9007199254740993",
      size: "512x384",
      steps: 6,
    },
    [
      { id: "m1", name: "dream.safetensors" },
      { id: "l0", name: "pan.safetensors" },
      { id: "l1", name: "pan.safetensors", hub: { name: "hf:me/loras@v1/pan.safetensors" } },
    ],
  );
  expect(settings).toMatchObject({
    model: "m1",
    motion: "",
    loras: [
      { id: "shapes/lcm-lora", weight: 1 }, // for when the bundled model is chosen again
      { id: "l1", weight: 0.8 },
    ],
    seed: "9007199254740993",
    width: 512,
    height: 384,
    steps: 6,
    seedLocked: true,
  });
  expect(missing.toSorted()).toEqual(["lcm.ckpt", "zoom.safetensors"]);
});

it("asks the engine for the bundled LoRA only with the bundled model", () => {
  expect(s.requestOf(s.DEFAULTS, false).choice.loras).toHaveLength(1);
  expect(s.requestOf({ ...s.DEFAULTS, model: "other" }, false).choice.loras).toEqual([]);
  expect(s.requestOf({ ...s.DEFAULTS, scheduler: "euler" }, false).choice.distilled).toBe(false);
});

it("draws a recipe's path again, and asks for it where the bundled network goes with the model", () => {
  const { settings } = s.fromRecipe(
    {
      prompt: "x",
      control: ["models/shapes/control-blob=a drawn path:0.8"],
      controlPath: ["0.1,0.2,0", "1,1,1"],
      controlGuess: true,
    },
    [],
  );
  expect(settings).toMatchObject({ control: "path", controlScale: 0.8 });
  expect(s.requestOf(settings, false).control).toMatchObject({
    id: "shapes/control-blob",
    guess: true,
    guide: {
      kind: "path",
      points: [
        { x: 0.1, y: 0.2, t: 0 },
        { x: 1, y: 1, t: 1 },
      ],
    },
  });
  expect(s.requestOf({ ...settings, model: "another" }, false).control).toBeUndefined();
});

it("restores key frames and IP-Adapters by the names that are stored here, their parts of the steps too", () => {
  const { settings, missing } = s.fromRecipe(
    {
      prompt: "x",
      control: ["models/sparse-rgb=a.png,b.png@scribble@0,15:0.8:0-0.5"],
      ipAdapter: ["ip-plus.bin", "gone.bin", "ip.safetensors"],
      ipEncoder: ["image_encoder"],
      ipImage: ["a.png", "b.png", "c.png"],
      ipScale: ["0.5:0.25-1", "1", "0.7"],
    },
    [
      { id: "s", name: "sparse-rgb" },
      { id: "a", name: "ip-plus.bin" },
      { id: "b", name: "ip.safetensors" },
      { id: "e", name: "image_encoder" },
    ],
  );
  expect(settings).toMatchObject({
    control: "keys",
    controlModel: "s",
    controlScale: 0.8,
    controlStart: 0,
    controlEnd: 0.5,
    controlMade: "scribble",
    keyFrames: [0, 15],
    likenesses: [
      { id: "a", scale: 0.5, start: 0.25, end: 1 },
      { id: "b", scale: 0.7, start: 0, end: 1 },
    ],
    imageEncoder: "e",
  });
  expect(missing).toEqual(["gone.bin"]);
});

it("takes of lists from outside only entries of the right form", () => {
  const odd = { travel: [null, { frame: 3, text: "y" }], loras: [3], keyFrames: [0, -1, 1.5, "2"], likenesses: [{}] };
  expect(s.settingsFrom(odd)).toEqual({
    ...s.DEFAULTS,
    travel: [{ frame: 3, text: "y" }],
    keyFrames: [0],
  });
});

it("names the options of the command line that the page does not have, and its own default for pictures not", () => {
  const recipe = { prompt: "x", betaEnd: 0.014, vaeTiling: true, control: ["a=b.png:1", "c=d.png:1"] };
  const left = ["--vae-tiling", "--beta-end", "--control but for the first", "a"];
  expect(s.fromRecipe(recipe, []).missing).toEqual(left);
  expect(s.fromRecipe({ prompt: "x", betaEnd: 0.014, image: "cat.png" }, []).missing).toEqual([]);
});

it("names models in links, and finds them again in another browser", () => {
  const [own, hub] = ["0e8f7d36-6a2f-4c55-9a53-2f6c1f0a9b11", "0e8f7d36-6a2f-4c55-9a53-2f6c1f0a9b12"];
  const here = [
    { id: own, name: "dream.safetensors" },
    { id: hub, name: "pan.safetensors", hub: { name: "hf:me/loras/pan.safetensors" } },
  ];
  const wanted = {
    ...s.DEFAULTS,
    model: own,
    width: 512,
    loras: [...s.DEFAULTS.loras, { id: hub, weight: 0.5 }],
    likenesses: [{ id: own, scale: 1, start: 0, end: 1 }],
  };
  const linked = s.fromLink(new URL(s.shareLink(wanted, here)).hash)!;
  expect(linked.model).toBe("dream.safetensors");
  expect(linked.loras.map((l) => l.id)).toEqual(["shapes/lcm-lora", "hf:me/loras/pan.safetensors"]);
  const there = here.map((m, i) => ({ ...m, id: `there ${i}` }));
  expect(s.withStored(linked, there)).toEqual({
    settings: {
      ...linked,
      model: "there 0",
      loras: [...s.DEFAULTS.loras, { id: "there 1", weight: 0.5 }],
      likenesses: [{ id: "there 0", scale: 1, start: 0, end: 1 }],
    },
    missing: [],
  });
  // Without the model its size is of no use; what is here already stays the same object.
  const bare = s.withStored({ ...linked, motion: "lcm.ckpt", likenesses: [] }, [there[1]!]);
  expect(bare.missing).toEqual(["dream.safetensors", "lcm.ckpt"]);
  expect(bare.settings).toMatchObject({ model: "shapes", motion: "", width: 128 });
  expect(s.withStored(wanted, here).settings).toBe(wanted);
  expect([own, "dream.safetensors"].map(s.isId)).toEqual([true, false]);
});
