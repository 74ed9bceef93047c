// node scripts/region-colours.mjs [sheet.png]: what regional prompts do to the bundled model's clips. An object crosses the picture;
// the half it ends in asks for another colour. Its colour in the first and the last four frames is found by the checker of
// the demo, which knows nothing of the model. Writes the first clips as a sheet, if asked. Takes minutes on a CPU.

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { checkShapes } from "../dist/src/cli/shapes/checker.js";
import { encodePng, loadPipeline } from "../dist/src/index.js";
import { openFile, openFolder, openNodeDevice } from "../dist/src/node.js";

const root = fileURLToPath(new URL("../models/shapes/", import.meta.url));
const device = await openNodeDevice();
const { pipeline } = await loadPipeline(device, {
  model: await openFolder(`${root}base`),
  motion: await openFolder(`${root}motion-lcm`),
  loras: [{ source: await openFile(`${root}lcm-lora.safetensors`), weight: 1 }],
});

const COLOURS = ["red", "green", "blue", "yellow", "orange", "purple", "pink", "white"];
const SHAPES = ["star", "circle", "heart", "square", "triangle"];
const BACKGROUNDS = ["night sky", "sunset", "green meadow", "blue sea"];
const HALVES = { right: [0.5, 0, 0.5, 1], left: [0, 0, 0.5, 1] };
const CLIPS = 12;

/** Frames `from … from + n` as a clip. */
function part({ width, height, rgba }, from, n) {
  const bytes = width * height * 4;
  return { width, height, count: n, rgba: rgba.subarray(from * bytes, (from + n) * bytes) };
}

const rows = [];
for (const regionBase of [0, 0.2, 1]) {
  let [first, last, both] = [0, 0, 0];
  for (let i = 0; i < CLIPS; i++) {
    const [one, other] = [COLOURS[i % 8], COLOURS[(3 * i + 1) % 8 === i % 8 ? (i + 3) % 8 : (3 * i + 1) % 8]];
    const to = i % 2 === 0 ? "right" : "left";
    const text = (colour) => `a ${colour} ${SHAPES[i % 5]} moving ${to} on a ${BACKGROUNDS[i % 4]}`;
    const options = { prompt: text(one), seed: 100 + i, frames: 16 };
    const regions = [{ prompt: text(other), area: HALVES[to] }];
    let frames;
    for await (const e of pipeline.generate({ ...options, regions, regionBase }))
      if (e.type === "frames") ({ frames } = e);
    const found = [checkShapes(part(frames, 0, 4)).colour, checkShapes(part(frames, 12, 4)).colour];
    const right = [found[0] === one, found[1] === other];
    first += right[0];
    last += right[1];
    both += right[0] && right[1];
    console.error(`base ${regionBase}: ${one} to ${other}: ${found.join(" to ")}`);
    if (regionBase === 0) rows.push(frames);
  }
  console.log(
    `region base ${regionBase}: of ${CLIPS} clips begin in the prompt's colour ${first}, end in the region's ${last}, both ${both}`,
  );
}

if (process.argv[2]) {
  const shown = [0, 3, 6, 9, 12, 15];
  const [side, clips] = [rows[0].width, rows.slice(0, 4)];
  const sheet = { width: side * shown.length, height: side * clips.length };
  const rgba = new Uint8Array(sheet.width * sheet.height * 4);
  for (const [r, clip] of clips.entries())
    for (const [c, k] of shown.entries())
      for (let y = 0; y < side; y++)
        rgba.set(
          clip.rgba.subarray((k * side + y) * side * 4, (k * side + y + 1) * side * 4),
          ((r * side + y) * sheet.width + c * side) * 4,
        );
  writeFileSync(process.argv[2], await encodePng({ ...sheet, rgba }));
}
pipeline.dispose();
device.dispose();
