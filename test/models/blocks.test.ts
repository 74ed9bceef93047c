// Every building block against the same block of diffusers or transformers, with random weights (test/reference/blocks.py).

import { beforeAll, describe, expect, it } from "vitest";
import { timestepEmbedding } from "../../kernels/timestep-embedding.js";
import { CLIPEncoderLayer } from "../../src/models/clip/text-model.js";
import { DownBlock, MidBlock, UpBlock, type BlockContext, type LayerConfig } from "../../src/models/unet/blocks.js";
import { windowsAt } from "../../src/models/unet/frame-windows.js";
import { MotionModule } from "../../src/models/unet/motion.js";
import { ResnetBlock2D } from "../../src/models/unet/resnet.js";
import { Transformer2DModel } from "../../src/models/unet/transformer.js";
import { VAEMidBlock, vaeResnet } from "../../src/models/vae/blocks.js";
import type { CrossAttention } from "../../src/nn/attention.js";
import { Conv2d } from "../../src/nn/conv2d.js";
import { Linear } from "../../src/nn/linear.js";
import { consume } from "../../src/nn/step.js";
import { WeightStore, type Weights } from "../../src/nn/weights.js";
import type { Device } from "../../src/gpu/device.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { Fixture } from "../support/fixtures.js";

/** f32 all through: PyTorch's own f32 result is up to 2e-7 from its f64 one; ten times that for another order of sums. */
const TOLERANCE = 2e-6;
const [FRAMES, GROUPS] = [5, 4];

let device: Device;
let fixture: Fixture;
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("blocks.safetensors");
});

async function input(name: string): Promise<Tensor> {
  const { values, shape } = await fixture.channelsLast(name);
  return Tensor.from(device, values, shape, "f32", name);
}

/** Builds a block, loads the case's weights into it, runs it and compares each output. */
async function check<B>(
  name: string,
  build: (w: Weights) => B,
  run: (block: B, at: (input: string) => Promise<Tensor>) => Promise<Tensor | readonly Tensor[]>,
  tolerance = TOLERANCE,
): Promise<void> {
  const before = device.memory.used;
  const store = new WeightStore(device, "f32");
  const block = build(store.root);
  await store.load(fixture.weights(`${name}.weights.`));
  const inputs: Tensor[] = [];
  const found = await run(block, async (key) => {
    const t = await input(`${name}.in.${key}`);
    inputs.push(t);
    return t;
  });
  for (const [i, y] of [found].flat().entries()) {
    const expected = await fixture.channelsLast(`${name}.out${i === 0 ? "" : `.${i}`}`);
    expect(y.size).toBe(expected.values.length);
    expectClose(await y.read(), expected.values, tolerance);
  }
  for (const t of [...[found].flat(), ...inputs]) t.dispose();
  store.dispose();
  expect(device.memory.used).toBe(before);
}

/** SiLU on the host: the blocks take the time embedding after it. `[rows, c]` of which every `each`-th row is kept. */
async function time(t: Tensor, each: number): Promise<Tensor> {
  const [rows = 0, c = 0] = t.shape;
  const x = await t.read();
  const kept = Array.from({ length: rows / each }, (_, r) => [...x.subarray(r * each * c, (r * each + 1) * c)]).flat();
  return Tensor.from(device, kept.map((v) => v / (1 + Math.exp(-v))), [rows / each, c], "f32", "time");
}

describe("ResnetBlock2D", () => {
  it.each([
    ["resnet", 16, 16, 1e-5, 32],
    ["resnet-shortcut", 16, 24, 1e-6, 32],
    ["resnet-no-temb", 16, 16, 1e-6, undefined],
  ] as const)("%s", async (name, inputs, outputs, eps, timeChannels) => {
    const config = { inputs, outputs, groups: GROUPS, eps, ...(timeChannels !== undefined && { timeChannels }) };
    await check(name, (w) => new ResnetBlock2D(w, config), async (block, at) => {
      if (timeChannels === undefined) return block.forward(await at("x"));
      using temb = await time(await at("temb"), 1);
      return block.forward(await at("x"), temb);
    });
  });
});

/** Text keys and values as the network prepares them. */
function prepare(layers: readonly CrossAttention[], text: Tensor): Map<CrossAttention, Tensor> {
  return new Map(layers.map((l) => [l, l.keyValues(text)]));
}

describe("Transformer2DModel", () => {
  it.each([
    ["transformer-conv", 1, false],
    ["transformer-linear", 2, true],
  ] as const)("%s", async (name, layers, linearProjection) => {
    const config = { channels: 24, heads: 2, layers, textChannels: 20, groups: GROUPS, linearProjection };
    await check(name, (w) => new Transformer2DModel(w, config), async (block, at) => {
      const text = prepare(block.crossAttentions, await at("text"));
      const y = block.forward(await at("x"), text);
      for (const t of text.values()) t.dispose();
      return y;
    });
  });
});

describe("MotionModule", () => {
  it.each([
    ["motion-joint", "joint", 1, true],
    ["motion-frame", "frame", 1, true],
    ["motion-two-layers", "joint", 2, true],
  ] as const)("%s", async (name, norm, layers, storedPositions) => {
    const config = { channels: 24, heads: 2, layers, groups: GROUPS, attentions: 2 as const, maxFrames: 16, storedPositions };
    await check(name, (w) => new MotionModule(w, config), async (block, at) => block.forward(await at("x"), { frames: FRAMES, norm }));
  });

  it("gives the same where frames pass through a window of all, block after block", async () => {
    const config = { channels: 24, heads: 2, layers: 2, groups: GROUPS, attentions: 2 as const, maxFrames: 16, storedPositions: true };
    const windows = windowsAt([0], FRAMES, FRAMES);
    const clip = { frames: FRAMES, norm: "joint", windows } as const;
    await check("motion-two-layers", (w) => new MotionModule(w, config), async (block, at) => block.forward(await at("x"), clip));
  });

  it("generates the sinusoids that a file leaves out", async () => {
    const config = { channels: 24, heads: 2, layers: 1, groups: GROUPS, attentions: 2 as const, maxFrames: 16, storedPositions: false };
    const build = (w: Weights) => {
      w.store.ignore(/pos_embed\.pe$/);
      return new MotionModule(w, config);
    };
    // The fixture's encoding went through f16, with which the reference ran: it is 2^-11 from the sinusoid.
    await check("motion-joint", build, async (block, at) => block.forward(await at("x"), { frames: FRAMES, norm: "joint" }), 1e-4);
  });

  it("refuses more frames than it has positions", async () => {
    const store = new WeightStore(device, "f32");
    const block = new MotionModule(store.root, { channels: 24, heads: 2, layers: 1, groups: GROUPS, attentions: 2 as const, maxFrames: 4, storedPositions: true });
    using x = Tensor.empty(device, [5, 6, 4, 24], "f32");
    expect(() => block.forward(x, { frames: 5, norm: "joint" })).toThrow("5 frames are more than the 4 positions");
  });
});

describe("timestep embedding", () => {
  it.each([
    ["time-sd", true, 0],
    ["time-plain", false, 1],
  ] as const)("%s", async (name, flipSinToCos, downscaleFreqShift) => {
    const build = (w: Weights) => [new Linear(w.at("1.linear_1"), 16, 32), new Linear(w.at("1.linear_2"), 32, 32)] as const;
    await check(name, build, async ([first, second], at) => {
      const sinusoids = timestepEmbedding(await at("timesteps"), 16, { flipSinToCos, downscaleFreqShift, dtype: "f32" });
      const y = device.scope(() => second.forward(first.forward(sinusoids, { activation: "silu" })));
      return [y, sinusoids];
    });
  });
});

describe("resampling", () => {
  it.each([
    ["downsample-padding1", [1, 1, 1, 1]],
    ["downsample-padding0", [0, 0, 1, 1]],
  ] as const)("%s", async (name, padding) => {
    const build = (w: Weights) => {
      w.store.ignore(/^Conv2d_0\./); // diffusers registers the same layer twice
      return new Conv2d(w.at("conv"), 16, 16, { stride: 2, padding });
    };
    await check(name, build, async (block, at) => block.forward(await at("x")));
  });

  it.each([
    ["upsample", [12, 8]],
    ["upsample-to-size", [5, 7]],
  ] as const)("%s", async (name, upsampleTo) => {
    await check(name, (w) => new Conv2d(w.at("conv"), 16, 16), async (block, at) => block.forward(await at("x"), { upsampleTo }));
  });
});

const RESNET = { groups: GROUPS, eps: 1e-5, timeChannels: 32 };
const TRANSFORMER = { channels: 24, heads: 2, layers: 1, textChannels: 20, groups: GROUPS, linearProjection: false };
const MOTION = { channels: 24, heads: 2, layers: 1, groups: GROUPS, attentions: 2 as const, maxFrames: 16, storedPositions: true };

function layer(inputs: number, attention: boolean): LayerConfig {
  return { resnet: { ...RESNET, inputs, outputs: 24 }, transformer: attention ? TRANSFORMER : undefined, motion: MOTION };
}

/** Runs a block with a context made of the case's inputs. */
async function inContext<R>(
  block: { crossAttentions: CrossAttention[] },
  at: (input: string) => Promise<Tensor>,
  body: (context: BlockContext) => Promise<R>,
): Promise<R> {
  using temb = await time(await at("temb"), FRAMES);
  const layers = block.crossAttentions;
  const text = layers.length > 0 ? prepare(layers, await at("text")) : new Map<CrossAttention, Tensor>();
  const result = await body({ time: temb, text, clip: { frames: FRAMES, norm: "joint" } });
  for (const t of text.values()) t.dispose();
  return result;
}

describe("UNet blocks with motion modules", () => {
  it.each([
    ["down-motion", [16, 24], false],
    ["cross-attn-down-motion", [16], true],
  ] as const)("%s", async (name, inputs, attention) => {
    const layers = inputs.map((c) => layer(c, attention));
    await check(name, (w) => new DownBlock(w, layers, true), async (block, at) =>
      inContext(block, at, async (context) => {
        const skips: Tensor[] = [];
        block.forward(await at("x"), context, (skip) => skips.push(skip));
        // The block's output is the last skip; the fixture has it first and again among the skips.
        return [skips.at(-1)!, ...skips];
      }),
    );
  });

  it("mid-motion", async () => {
    const build = (w: Weights) => new MidBlock(w, { ...RESNET, inputs: 24, outputs: 24 }, TRANSFORMER, MOTION);
    await check("mid-motion", build, async (block, at) => inContext(block, at, async (context) => block.forward(await at("x"), context)));
  });

  it("up-motion upsamples to twice the size", async () => {
    const layers = [layer(32 + 24, false), layer(24 + 16, false)];
    await check("up-motion", (w) => new UpBlock(w, layers, true), async (block, at) =>
      inContext(block, at, async (context) => {
        using y = block.forward(await at("x"), context, [await at("skip.0"), await at("skip.1")]);
        return block.upsample!(y, [12, 8]);
      }),
    );
  });

  it("cross-attn-up-motion", async () => {
    const layers = [layer(32 + 24, true), layer(24 + 16, true)];
    await check("cross-attn-up-motion", (w) => new UpBlock(w, layers, false), async (block, at) =>
      inContext(block, at, async (context) => block.forward(await at("x"), context, [await at("skip.0"), await at("skip.1")])),
    );
  });
});

describe("VAE blocks", () => {
  it("vae-down: pads right and below", async () => {
    const build = (w: Weights) => ({
      resnet: vaeResnet(w.at("resnets.0"), 16, 24, GROUPS),
      down: new Conv2d(w.at("downsamplers.0.conv"), 24, 24, { stride: 2, padding: [0, 0, 1, 1] }),
    });
    await check("vae-down", build, async ({ resnet, down }, at) => {
      const x = await at("x");
      return device.scope(() => down.forward(resnet.forward(x)));
    });
  });

  it("vae-up", async () => {
    const build = (w: Weights) => ({ resnet: vaeResnet(w.at("resnets.0"), 16, 24, GROUPS), up: new Conv2d(w.at("upsamplers.0.conv"), 24, 24) });
    await check("vae-up", build, async ({ resnet, up }, at) => {
      const y = resnet.forward(await at("x"));
      return consume([y], () => up.forward(y, { upsampleTo: [12, 8] }));
    });
  });

  it("vae-mid", async () => {
    await check("vae-mid", (w) => new VAEMidBlock(w, 24, GROUPS, true), async (block, at) => block.forward(await at("x")));
  });
});

describe("CLIPEncoderLayer", () => {
  it.each([
    ["clip-layer-quick-gelu", "quick_gelu"],
    ["clip-layer-gelu", "gelu"],
  ] as const)("%s", async (name, activation) => {
    const config = { vocabSize: 1, hiddenSize: 24, intermediateSize: 48, layers: 1, heads: 3, maxPositions: 9, activation, eps: 1e-5 };
    await check(name, (w) => new CLIPEncoderLayer(w, config), async (block, at) => block.forward(await at("x")));
  });
});
