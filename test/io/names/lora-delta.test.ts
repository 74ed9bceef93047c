// What each form of LoRA adds to a weight, worked out by hand.

import { describe, expect, it } from "vitest";
import { loraDelta } from "../../../src/io/names/lora-delta.js";
import { readLora } from "../../../src/io/names/lora.js";
import { valueWeights } from "./files.js";

describe("loraDelta", () => {
  const delta = async (tensors: Parameters<typeof valueWeights>[0], shape: readonly number[]) => {
    const file = await valueWeights(tensors);
    const module = [...(await readLora(file)).modules.values()][0]!;
    return { file, module, data: [...(await loraDelta(file, module, shape))] };
  };
  const at = "lora_unet_conv_in";

  it("lora: alpha / rank · up · down", async () => {
    const { data } = await delta(
      {
        [`${at}.lora_down.weight`]: [
          [2, 2],
          [1, 2, 3, 4],
        ],
        [`${at}.lora_up.weight`]: [
          [2, 2],
          [1, 0, 1, 1],
        ],
        [`${at}.alpha`]: [[], [1]],
      },
      [2, 2],
    );
    expect(data).toEqual([0.5, 1, 2, 3]);
  });

  it("LoCon: up · mid · down of a 3 × 3 convolution, as a sum over both ranks", async () => {
    const mid = Array.from({ length: 2 * 2 * 3 }, (_, i) => i + 1);
    const { data } = await delta(
      {
        [`${at}.lora_down.weight`]: [
          [2, 2, 1, 1],
          [1, 2, 3, 5],
        ],
        [`${at}.lora_up.weight`]: [
          [2, 2, 1, 1],
          [7, 1, 2, 3],
        ],
        [`${at}.lora_mid.weight`]: [[2, 2, 3, 1], mid],
      },
      [2, 2, 3, 1],
    );
    const [down, up] = [
      [
        [1, 2],
        [3, 5],
      ],
      [
        [7, 1],
        [2, 3],
      ],
    ];
    const wanted: number[] = [];
    for (let o = 0; o < 2; o++)
      for (let c = 0; c < 2; c++)
        for (let s = 0; s < 3; s++) {
          let sum = 0;
          for (let i = 0; i < 2; i++)
            for (let j = 0; j < 2; j++) sum += up[o]![i]! * mid[(i * 2 + j) * 3 + s]! * down[j]![c]!;
          wanted.push(sum);
        }
    expect(data).toEqual(wanted);
  });

  it("LoHa: the elementwise product of two products", async () => {
    const { data } = await delta(
      {
        [`${at}.hada_w1_a`]: [
          [2, 1],
          [1, 2],
        ],
        [`${at}.hada_w1_b`]: [
          [1, 2],
          [3, 4],
        ],
        [`${at}.hada_w2_a`]: [
          [2, 1],
          [5, 6],
        ],
        [`${at}.hada_w2_b`]: [
          [1, 2],
          [7, 8],
        ],
        [`${at}.alpha`]: [[], [0.5]],
      },
      [2, 2],
    );
    expect(data).toEqual([3 * 35, 4 * 40, 6 * 42, 8 * 48].map((v) => v / 2));
  });

  it("LoKr: the Kronecker product, unscaled where neither factor has a rank", async () => {
    const { data } = await delta(
      {
        [`${at}.lokr_w1`]: [
          [1, 2],
          [1, 10],
        ],
        [`${at}.lokr_w2`]: [
          [2, 1],
          [3, 4],
        ],
        [`${at}.alpha`]: [[], [100]],
      },
      [2, 2],
    );
    expect(data).toEqual([3, 30, 4, 40]);
    const low = await delta(
      {
        [`${at}.lokr_w1`]: [[1, 1], [2]],
        [`${at}.lokr_w2_a`]: [
          [2, 1],
          [1, 2],
        ],
        [`${at}.lokr_w2_b`]: [
          [1, 2],
          [3, 4],
        ],
        [`${at}.alpha`]: [[], [0.5]],
      },
      [2, 2],
    );
    expect(low.data).toEqual([3, 4, 6, 8]);
  });

  it("a whole difference", async () => {
    const { data } = await delta(
      {
        [`${at}.diff`]: [
          [2, 1],
          [5, 6],
        ],
      },
      [2, 1],
    );
    expect(data).toEqual([5, 6]);
  });

  it("refuses a change of another size", async () => {
    await expect(
      delta(
        {
          [`${at}.diff`]: [
            [2, 1],
            [5, 6],
          ],
        },
        [3, 1],
      ),
    ).rejects.toThrow(/made for another model/);
  });
});
