// A plan of what guides a run tells what the run then takes: the same work, memory and bytes of weights.

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import type { ControlInputs } from "../../src/pipelines/control/conditions.js";
import { loadIPAdapter } from "../../src/pipelines/control/ip-adapter.js";
import { loadControl } from "../../src/pipelines/control/network.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import { planPipeline, type Plan } from "../../src/pipelines/plan.js";
import { last } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

type Given = { readonly inputs: ControlInputs; readonly owned: readonly Disposable[] };
const RUN = { prompt: "a red circle", frames: 5, width: 32, height: 24, steps: 2 };
const picture = { width: 32, height: 24, count: 1, rgba: new Uint8Array(32 * 24 * 4).fill(99) };
const given = (inputs: ControlInputs, ...owned: readonly Disposable[]): Given => ({ inputs, owned });

async function networkOf(name: string, { parts }: AnimateDiffPipeline) {
  return loadControl(parts.device, await openFolder(fixturePath(name)), { precision: "f32" });
}

/** What guides a run, loaded on a pipeline's device; the model it takes. */
const CASES: Readonly<Record<string, readonly [model: string, load: (p: AnimateDiffPipeline) => Promise<Given>]>> = {
  ControlNet: [
    "tiny-a",
    async (p) => {
      const network = await networkOf("tiny-a-controlnet", p);
      return given({ controls: [{ network, frames: picture, scale: 0.5, end: 0.5 }] }, network);
    },
  ],
  SparseCtrl: [
    "tiny-a",
    async (p) => {
      const network = await networkOf("tiny-a-sparse", p);
      return given({ controls: [{ network, frames: picture, at: [0] }] }, network);
    },
  ],
  "T2I-Adapter": [
    "tiny-b",
    async (p) => {
      const network = await networkOf("tiny-b-t2i", p);
      return given({ controls: [{ network, frames: picture }] }, network);
    },
  ],
  "IP-Adapter and regions": [
    "tiny-a",
    async ({ parts }) => {
      const adapter = await loadIPAdapter(parts.device, parts.unet, {
        adapter: memorySource("ip.safetensors", readFileSync(fixturePath("tiny-a-ip-adapter.safetensors"))),
        encoder: await openFolder(fixturePath("tiny-a-ip-encoder")),
        precision: "f32",
      });
      const regions = [{ prompt: "the night", area: [0, 0, 0.5, 1] }] as const;
      return given({ regions, imagePrompts: [{ adapter, images: [picture] }] }, adapter);
    },
  ],
  "image to video": ["tiny-a-i2v", () => Promise.resolve(given({ image: picture }))],
};

describe("a plan with control", () => {
  it.each(Object.entries(CASES))("tells what the run takes: %s", async (name, [model, load]) => {
    const folder = await openFolder(fixturePath(model === "tiny-a-i2v" ? "tiny-a" : model));
    const motion = model === "tiny-a-i2v" ? { motion: await openFolder(fixturePath(model)) } : {};
    const what = { model: folder, ...motion, precision: "f32" } as const;
    const run = { ...RUN, guidance: 1.5, ...(model === "tiny-b" && { width: 48, height: 48 }) };
    const inputs = async (p: AnimateDiffPipeline) => (await load(p)).inputs;
    const plan: Plan = await planPipeline(device.capabilities, what, run, { encoder: true, inputs });
    device.trim();
    const before = device.memory.reserved; // what other tests hold
    const { pipeline } = await loadPipeline(device, { ...what, encoder: true });
    const { inputs: own, owned } = await load(pipeline);
    device.trim();
    device.pool.resetPeaks();
    device.resetCounts();
    await last(pipeline.generate({ ...run, ...own }));
    expect.soft(device.counts.dispatches, name).toBe(plan.dispatches);
    expect.soft(device.counts.flops, name).toBe(plan.flops);
    const [load_, ...stages] = plan.stages;
    expect.soft(load_?.name).toBe("load");
    expect.soft(stages.map((s) => s.name)).toEqual(["text", "control", "denoise", "decode"]);
    const peak = Math.max(...stages.map((s) => s.peakBytes));
    const taken = device.memory.peakReserved - before;
    expect.soft(taken / peak, name).toBeGreaterThan(0.95);
    expect.soft(taken / peak, name).toBeLessThan(1.05);
    for (const o of owned) o[Symbol.dispose]();
    pipeline.dispose();
  });

  it("grows with a ControlNet by its weights and maps, not with the clip's length", async () => {
    const what = { model: await openFolder(fixturePath("tiny-a")), precision: "f32" } as const;
    const inputs = async (p: AnimateDiffPipeline) => ({
      controls: [{ network: await networkOf("tiny-a-controlnet", p), frames: picture }],
    });
    const added = async (frames: number) => {
      const run = { ...RUN, frames, width: 128, height: 128 };
      const [alone, guided] = [
        await planPipeline({}, what, run),
        await planPipeline({}, what, run, { encoder: true, inputs }),
      ];
      const maps = (16 + 16 + 16 / 4 + 40 / 4 + 40 / 4) * 32 * 32 * 4 * frames; // a value a skip, and the middle's
      return guided.peakBytes - alone.peakBytes - maps;
    };
    const few = await added(16);
    expect(await added(32)).toBeLessThan(1.5 * few);
  });
});
