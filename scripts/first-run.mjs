// Seconds from nothing to the first step of a run: opening the device, loading, text, the first evaluation; with an empty
// cache of compiled shaders, or with a full one. The demo model, or a folder.
//   node scripts/first-run.mjs [folder] [--frames 16] [--size 128] [--warm] [--not-ahead]
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    frames: { type: "string", default: "16" },
    size: { type: "string", default: "128" },
    warm: { type: "boolean", default: false },
    "not-ahead": { type: "boolean", default: false },
  },
});
if (!o.warm) process.env.MESA_SHADER_CACHE_DIR = mkdtempSync(join(tmpdir(), "shader-cache-"));

const { openFile, openFolder } = await import("../dist/src/io/node-file.js");
const { openNodeDevice } = await import("../dist/src/node-device.js");
const { loadPipeline } = await import("../dist/src/pipelines/load.js");

const root = new URL("../models/shapes/", import.meta.url).pathname;
const options = {
  prompt: "a red star moving left on a night sky",
  frames: Number(o.frames),
  width: Number(o.size),
  height: Number(o.size),
  seed: 7,
};
const start = performance.now();
const seconds = () => ((performance.now() - start) / 1000).toFixed(2);
const device = await openNodeDevice();
const opened = seconds();
const demo = async () => ({
  model: await openFolder(`${root}base`),
  motion: await openFolder(`${root}motion-lcm`),
  loras: [{ source: await openFile(`${root}lcm-lora.safetensors`), weight: 1 }],
});
const files = positionals[0] ? { model: await openFolder(positionals[0]) } : await demo();
const { pipeline } = await loadPipeline(device, { ...files, ...(!o["not-ahead"] && { firstRun: options }) });
const loaded = seconds();
for await (const e of pipeline.generate(options))
  if (e.type === "step") {
    console.log(
      JSON.stringify({
        opened,
        loaded,
        firstStep: seconds(),
        waitedForCompiler: device.compileSeconds.toFixed(2),
        pipelines: device.pipelineCount,
        cpu: process.cpuUsage(),
      }),
    );
    break;
  }
process.exit(0);
