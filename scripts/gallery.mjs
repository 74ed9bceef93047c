// The README's gallery, docs/gallery/*.webp: the commands that are shown there, their clips side by side.
//     npm run build && node scripts/gallery.mjs [name…]
// Clips already in gallery-work/ are kept, so that a run that was stopped goes on.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { openVideo, readVideo, writeClip } from "kineograph/node";
import { sideBySide } from "../dist/src/io/montage.js";

const WORK = "gallery-work";
const MODEL = "models/shapes";
const FPS = 8;
const STAR = "a red star moving right on a night sky";

/** What each picture shows: cells by row, a label and the arguments of `kineograph generate` (or a picture as it is). */
const GALLERY = {
  styles: {
    columns: ["as it is", "neon", "pencil"],
    rows: [STAR, "a yellow heart growing on the blue sea"].map((prompt) => ({
      label: prompt,
      cells: ["", "neon", "pencil"].map((style) => [
        prompt,
        "--seed 7",
        style && `--lora ${MODEL}/style-${style}.safetensors --vae ${MODEL}/style-vae`,
      ]),
    })),
  },
  "image-to-video": {
    columns: ["the picture", "the clip"],
    rows: ["a green square moving left at sunset", "a yellow star moving down on a night sky"].map((prompt, i) => ({
      label: prompt,
      cells: [
        `docs/gallery/picture-${i + 1}.png`,
        [prompt, `--motion ${MODEL}/motion-i2v --image docs/gallery/picture-${i + 1}.png`],
      ],
    })),
  },
  control: {
    columns: ["the path", "a red star", "a pink heart"],
    rows: [
      {
        label: "",
        cells: [
          `${WORK}/path.png`,
          ["a red star on a night sky", `--control ${MODEL}/control-blob=${WORK}/path.png`],
          ["a pink heart on a green meadow", `--control ${MODEL}/control-blob=${WORK}/path.png`],
        ],
      },
    ],
  },
  "longer-clips": {
    columns: ["32 frames", "64, FreeNoise", "64, star to heart"],
    rows: [
      {
        label: "",
        cells: [
          [STAR, "--frames 32"],
          [STAR, "--frames 64 --long free-noise"],
          [
            STAR,
            "--frames 64 --long free-noise",
            ["--prompt-at", `24:${STAR}`],
            ["--prompt-at", "40:a blue heart moving right on a night sky"],
          ],
        ],
      },
    ],
  },
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(GALLERY);
mkdirSync(WORK, { recursive: true });
mkdirSync("docs/gallery", { recursive: true });
await writeClip(`${WORK}/path.png`, path(), { fps: FPS });
for (const name of names) {
  const { columns, rows } = GALLERY[name];
  const shown = [];
  for (const [r, { label, cells }] of rows.entries()) {
    const clips = [];
    for (const [c, cell] of cells.entries())
      clips.push(await clip(typeof cell === "string" ? cell : generate(`${WORK}/${name}-${r}-${c}.png`, cell)));
    shown.push({ label, clips });
  }
  await writeClip(`docs/gallery/${name}.webp`, sideBySide({ title: "", columns, rows: shown }), { fps: FPS });
  console.log(`docs/gallery/${name}.webp`);
}

function generate(output, [prompt, ...options]) {
  if (existsSync(output)) return output;
  const args = options.flatMap((o) => (Array.isArray(o) ? o : o.split(" ").filter((word) => word !== "")));
  console.log(`kineograph generate "${prompt}" ${args.join(" ")}`);
  const { status } = spawnSync(
    process.execPath,
    ["dist/src/cli/main.js", "generate", prompt, ...args, "-o", output, "--quiet"],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  if (status !== 0) throw new Error(`exit status ${status}`);
  return output;
}

/** All frames of a file. */
async function clip(file) {
  const { count } = (await openVideo(file)).info;
  return readVideo(file, { frames: count ?? 1, fps: FPS });
}

/** A white disc on black, along a wave. */
function path() {
  const [size, count, radius] = [128, 16, 17];
  const rgba = new Uint8Array(count * size * size * 4).fill(255);
  for (let i = 0; i < count; i++) {
    const [x, y] = [28 + (72 * i) / (count - 1), 62 + 22 * Math.sin((2 * Math.PI * i) / (count - 1))];
    for (let p = 0; p < size * size; p++) {
      const distance = Math.hypot((p % size) - x, Math.floor(p / size) - y);
      rgba.fill(
        255 * Math.min(1, Math.max(0, radius + 0.5 - distance)),
        (i * size * size + p) * 4,
        (i * size * size + p) * 4 + 3,
      );
    }
  }
  return { width: size, height: size, count, rgba };
}
