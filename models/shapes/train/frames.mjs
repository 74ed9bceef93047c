// Frames for the checker, made by Kineograph: jobs come as JSON on stdin, every clip goes to stdout as raw RGB bytes.
// { "load": { "model": folder, "motion": folder, "loras": [file] }, "jobs": [{ "prompt", "seed", "steps", … }] }
// evaluate.py starts it; `npm run build` first.

import { readFileSync, writeSync } from "node:fs";
import { loadPipeline } from "kineograph";
import { openFile, openFolder, openNodeDevice } from "kineograph/node";

const { load, jobs } = JSON.parse(readFileSync(0, "utf8"));
const device = await openNodeDevice();
try {
  const { pipeline } = await loadPipeline(device, {
    model: await openFolder(load.model),
    motion: await openFolder(load.motion),
    loras: await Promise.all(load.loras.map(async (path) => ({ source: await openFile(path), weight: 1 }))),
  });
  for (const job of jobs) {
    for await (const event of pipeline.generate(job)) if (event.type === "frames") writeAll(rgb(event.frames));
  }
} finally {
  device.dispose();
}

function rgb({ rgba }) {
  const out = Buffer.alloc((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) out.set(rgba.subarray(from, from + 3), to);
  return out;
}

/** A pipe may take less than it is given. */
function writeAll(bytes) {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(1, bytes, done);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}
