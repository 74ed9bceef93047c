// Embedding files as their writers leave them (test/reference/prompts.py).

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memorySource } from "../../../src/io/byte-source.js";
import { CheckpointError } from "../../../src/io/errors.js";
import { readEmbedding } from "../../../src/io/names/embedding.js";
import { identify } from "../../../src/io/names/identify.js";
import { openWeights } from "../../../src/io/weight-files.js";
import { fixturePath } from "../../support/fixtures.js";
import { Chance, fuzzCount, mutate } from "../mutations.js";
import { listedWeights } from "./files.js";

const open = (name: string) =>
  openWeights(memorySource(`folder/${name}`, readFileSync(fixturePath(`embeddings/${name}`))));

describe("embedding files", () => {
  it.each([
    ["toy.safetensors", ["toy", "<toy>"], 1],
    ["learned_embeds.bin", ["learned_embeds", "<cat-toy>"], 3],
    ["painted.pt", ["painted", "paint style"], 2],
    ["first.pt", ["first"], 2],
    ["bad-hands.safetensors", ["bad-hands"], 2],
  ] as const)("%s", async (name, names, vectors) => {
    const file = await open(name);
    expect(identify(file)).toMatchObject({ kind: "textual-inversion", usable: true, details: { vectors, width: 32 } });
    const embedding = await readEmbedding(file, 32);
    expect(embedding.names).toEqual(names);
    expect(embedding.vectors.map((v) => v.length)).toEqual(Array(vectors).fill(32));
  });

  it("first.pt and painted.pt hold the same vectors: ParameterDict and Parameter", async () => {
    const [a, b] = [await readEmbedding(await open("first.pt"), 32), await readEmbedding(await open("painted.pt"), 32)];
    expect(a.vectors).toEqual(b.vectors);
  });

  it("all fixtures are covered", () => expect(readdirSync(fixturePath("embeddings")).length).toBe(6));

  it("refuses those for other models", async () => {
    expect(identify(await open("sdxl.safetensors")).description).toBe(
      "a textual-inversion embedding of 2 vectors for SDXL",
    );
    await expect(readEmbedding(await open("sdxl.safetensors"), 32)).rejects.toThrow("of width 32 for SDXL");
    await expect(readEmbedding(await open("toy.safetensors"), 768)).rejects.toThrow(
      "holds an embedding of width 32, but this model's text encoder has width 768",
    );
    await expect(readEmbedding(listedWeights([["emb_params", [2, 1024]]]), 768)).rejects.toThrow(
      "of width 1024 for Stable Diffusion 2",
    );
    await expect(readEmbedding(listedWeights([["a.b", [2, 768]]]), 768)).rejects.toThrow(
      "is no textual-inversion embedding",
    );
  });
});

describe("embedding files under mutation", () => {
  it("are read or refused with an error of ours", async () => {
    const chance = new Chance(17);
    const names = readdirSync(fixturePath("embeddings"));
    const originals = names.map((name) => new Uint8Array(readFileSync(fixturePath(`embeddings/${name}`))));
    let read = 0;
    for (let i = 0; i < fuzzCount(2000); i++) {
      const which = chance.below(names.length);
      try {
        const file = await openWeights(memorySource(names[which]!, mutate(originals[which]!, chance)));
        identify(file);
        const { vectors } = await readEmbedding(file, 32);
        expect(vectors.length).toBeGreaterThan(0);
        read++;
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
      }
    }
    expect(read).toBeGreaterThan(0);
  });
});
