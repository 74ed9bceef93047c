// The Learn tab's map: labels of the engine's dispatches find their place, in the order in which data passes.

import { expect, it } from "vitest";
import { heatOf, wordsOf } from "../../src/web/learn/heat.js";
import { mapOf, placeOf } from "../../src/web/learn/map.js";

const time = (label: string, ms: number) => ({ label, ms, calls: 1, flops: 10, bytes: 4 });

it("finds a label's network, block and part", () => {
  expect(placeOf("conv2d down_blocks.0.resnets.1.conv1")).toMatchObject({
    column: "down",
    block: "down_blocks.0",
    part: "down_blocks.0.resnets.1",
    kind: "resnet",
  });
  expect(placeOf("temporalAttention mid_block.motion_modules.0.transformer_blocks.0.attn1")).toMatchObject({
    column: "mid",
    kind: "motion",
  });
  expect(placeOf("conv2d decoder.up_blocks.1.upsamplers.0.conv")).toMatchObject({
    column: "decoder",
    part: "decoder.up_blocks.1.upsamplers.0",
    kind: "up",
  });
  expect(placeOf("attention text_model.encoder.layers.11")).toMatchObject({ column: "text", block: "layer 11" });
  expect(placeOf("linear time_embedding.linear_1")).toMatchObject({ column: "down", block: "in" });
  expect(placeOf("conv2d conv_out")).toMatchObject({ column: "up", block: "out" });
  expect(placeOf("linearCombination x0")).toMatchObject({ column: "rest" });
});

it("adds up times, in order", () => {
  const map = mapOf([
    time("conv2d up_blocks.0.upsamplers.0.conv", 4),
    time("linear up_blocks.0.motion_modules.1.proj_in", 3),
    time("conv2d up_blocks.0.resnets.1.conv1", 2),
    time("groupNorm up_blocks.0.resnets.1.norm1", 1),
    time("conv2d up_blocks.0.resnets.0.conv1", 5),
    time("attention text_model.encoder.layers.10", 1),
    time("attention text_model.encoder.layers.2", 1),
  ]);
  expect(map.ms).toBe(17);
  expect(map.most).toBe(5);
  expect(map.up[0]?.parts.map((p) => [p.title, p.ms])).toEqual([
    ["ResNet 0", 5],
    ["ResNet 1", 3],
    ["Motion 1", 3],
    ["Larger 0", 4],
  ]);
  expect(map.text.map((b) => b.title)).toEqual(["Layer 2", "Layer 10"]);
});

it("draws a word's attention over the dimmed picture, the strongest as full glow", () => {
  const size = { width: 2, height: 1, count: 2 };
  const rgba = new Uint8Array(16).fill(200);
  const { rgba: drawn } = heatOf({ ...size, values: Float32Array.of(0, 0.25, 0.5, 0) }, { ...size, rgba });
  expect([...drawn]).toEqual([90, 90, 90, 255, 173, 106, 77, 255, 255, 122, 64, 255, 90, 90, 90, 255]);
  expect(wordsOf("a (red:1.3) star, a [night-sky]")).toEqual(["a", "red", "star", "night-sky"]);
});
