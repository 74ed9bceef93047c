// Prompts with markup, long ones, plain ones, embeddings: rows of tokens and the text encoder's states against
// test/reference/prompts.py (plain prompts and embeddings: diffusers itself).

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { openFolder } from "../../src/io/node-file.js";
import { CLIPTokenizer } from "../../src/models/clip/tokenizer.js";
import { buildModels, type BuiltModels } from "../../src/pipelines/build.js";
import { openEmbeddings } from "../../src/pipelines/embeddings.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import { openModel, type ModelFiles } from "../../src/pipelines/model-files.js";
import { chunkPrompt } from "../../src/pipelines/prompt-chunks.js";
import { parsePrompt } from "../../src/pipelines/prompt-syntax.js";
import { chunksOf, encodePrompt, tokenizePrompt, type PromptParts } from "../../src/pipelines/prompt.js";
import { expectClose } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

interface Case {
  readonly model: string;
  readonly prompt: string;
  readonly emphasis: "scale" | "mean" | "blend";
  readonly plainPrompt?: boolean;
  readonly clipSkip?: number;
  readonly embeddings?: boolean;
}

describe("parsePrompt", () => {
  // Documented in stable-diffusion-webui, modules/prompt_parser.py.
  it.each<[string, [string, number][]]>([
    ["normal text", [["normal text", 1]]],
    [
      "an (important) word",
      [
        ["an ", 1],
        ["important", 1.1],
        [" word", 1],
      ],
    ],
    ["(unbalanced", [["unbalanced", 1.1]]],
    [String.raw`\(literal\]`, [["(literal]", 1]]],
    ["(unnecessary)(parens)", [["unnecessaryparens", 1.1]]],
    [
      "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
      [
        ["a ", 1],
        ["house", 1.5730000000000004],
        [" ", 1.1],
        ["on", 1],
        [" a ", 1.1],
        ["hill", 0.55],
        [", sun, ", 1.1],
        ["sky", 1.4641000000000006],
        [".", 1.1],
      ],
    ],
  ])("%s", (text, parts) => {
    expect(parsePrompt(text)).toEqual(parts.map(([t, weight]) => ({ text: t, weight })));
  });

  it("breaks also within brackets, and keeps what is no markup", () => {
    expect(parsePrompt("(a BREAK b:2)")).toEqual([{ text: "a", weight: 2 }, "BREAK", { text: "b", weight: 2 }]);
    expect(parsePrompt("BREAKFAST at 3:15, a) b] c:1.5")).toEqual([
      { text: "BREAKFAST at 3:15, a) b] c:1.5", weight: 1 },
    ]);
    expect(parsePrompt("a\\b (c:1.2.3)")[0]).toEqual({ text: "a\\b ", weight: 1 });
    expect(parsePrompt("")).toEqual([{ text: "", weight: 1 }]);
  });
});

describe("chunkPrompt", () => {
  it("takes text without markup as the tokenizer does", async () => {
    const tokenizer = await CLIPTokenizer.openai();
    for (const prompt of ["", "a cat, it's 3:15!", "Blüte 花 <|endoftext|> 🎈", "a ".repeat(75)])
      for (const plain of [true, false]) {
        const { chunks, truncatedText } = chunkPrompt(tokenizer, prompt, { plain });
        expect(chunks.map((c) => c.ids)).toEqual([tokenizer.encode(prompt).ids]);
        expect(truncatedText).toBeUndefined();
      }
    const long = "a ".repeat(70) + "red circle, blue star, green";
    expect(chunkPrompt(tokenizer, long, { plain: true })).toMatchObject({
      truncatedText: tokenizer.encode(long).truncatedText!,
      chunks: [{ ids: tokenizer.encode(long).ids }],
    });
  });

  it("finds embeddings as whole words, in any case, with ComfyUI's prefix too, and keeps their vectors together", async () => {
    const tokenizer = await CLIPTokenizer.openai();
    const vectors = [1, 2, 3].map((v) => Float32Array.of(v));
    const embeddings = [
      { name: "Bad-Hands.v2", vectors },
      { name: "bad", vectors: vectors.slice(0, 1) },
    ];
    const at = (prompt: string) =>
      chunkPrompt(tokenizer, prompt, { embeddings }).chunks.map((c) => c.vectors.map((v) => [v.at, v.values[0]]));
    expect(at("bad-hands.V2")).toEqual([
      [
        [1, 1],
        [2, 2],
        [3, 3],
      ],
    ]);
    expect(at("a embedding:bad, badly (bad:1.3)")).toEqual([
      [
        [2, 1],
        [5, 1],
      ],
    ]);
    expect(at("a bad_ _bad xbad")).toEqual([[]]);
    expect(at("a ".repeat(74) + "bad-hands.v2")).toEqual([
      [],
      [
        [1, 1],
        [2, 2],
        [3, 3],
      ],
    ]);
    const cut = chunkPrompt(tokenizer, "a ".repeat(74) + "bad-hands.v2 red circle", { embeddings, plain: true });
    expect(cut.truncatedText).toBe("red circle");
    expect(cut.chunks[0]!.vectors.map((v) => v.at)).toEqual([75]);
  });
});

describe.each(["tiny-a", "tiny-b"])("encodePrompt on %s", (model) => {
  let device: Device;
  let fixture: Fixture;
  let files: ModelFiles;
  let models: BuiltModels;
  let parts: PromptParts;
  beforeAll(async () => {
    device = await testDevice();
    fixture = await Fixture.open("prompts.safetensors");
    files = await openModel({ model: await openFolder(fixturePath(model)) });
    models = buildModels(device, files.configs, { storage: { weights: "f32" } });
    await models.stores.text.load(files.weights.text);
    parts = { device, dtype: "f32", tokenizer: files.tokenizer, text: models.text };
  });
  afterAll(async () => {
    models.stores.text.dispose();
    await files.close();
  });

  it("agrees with the reference in every case", async () => {
    const cases = Object.entries(fixture.json<Record<string, Case>>("cases")).filter(
      ([, c]) => c.model === model && c.embeddings !== true,
    );
    expect(cases.length).toBeGreaterThan(8);
    for (const [name, c] of cases) {
      const style = { plainPrompt: c.plainPrompt ?? false, emphasis: c.emphasis, clipSkip: c.clipSkip ?? 0 };
      const { chunks } = tokenizePrompt(parts, c.prompt, style);
      expect(
        chunks.flatMap((k) => k.ids),
        name,
      ).toEqual([...(await fixture.values(`${name}.ids`))]);
      expectClose(
        chunks.flatMap((k) => k.weights),
        await fixture.values(`${name}.weights`),
        1e-6,
      );
      expect(chunksOf(parts, ["", c.prompt], style)).toBe(chunks.length);
      using y = encodePrompt(parts, c.prompt, style);
      expect(y.shape).toEqual(fixture.shape(`${name}.states`));
      // Restoring the mean divides by a sum that may be small beside its terms.
      expectClose(await y.read(), await fixture.values(`${name}.states`), c.emphasis === "mean" ? 3e-5 : 1e-5);
    }
  });

  it("fills up with rows of the empty prompt", async () => {
    const style = { plainPrompt: false, emphasis: "scale" } as const;
    using one = encodePrompt(parts, "a red circle", style);
    using two = encodePrompt(parts, "a red circle", { ...style, chunks: 2 });
    using empty = encodePrompt(parts, "", style);
    const values = await two.read();
    expect(values.slice(0, one.size)).toEqual(await one.read());
    expectClose(values.slice(one.size), await empty.read(), 1e-6);
    expect(() => encodePrompt(parts, "a BREAK b", { ...style, chunks: 1 })).toThrow("takes 2 rows of tokens");
  });
});

describe("embeddings", () => {
  const source = (name: string) => memorySource(name, readFileSync(fixturePath(`embeddings/${name}`)));

  it("agree with diffusers' load_textual_inversion", async () => {
    const device = await testDevice();
    const fixture = await Fixture.open("prompts.safetensors");
    const { pipeline, info } = await loadPipeline(device, {
      model: await openFolder(fixturePath("tiny-a")),
      embeddings: [
        { source: source("toy.safetensors") },
        { source: source("learned_embeds.bin") },
        { source: source("painted.pt") },
        { source: source("bad-hands.safetensors") },
      ],
      precision: "f32",
    });
    using _ = pipeline;
    expect(info.embeddings.map((e) => e.names.join())).toEqual([
      "toy,<toy>",
      "learned_embeds,<cat-toy>",
      "painted,paint style",
      "bad-hands",
    ]);
    const cases = Object.entries(fixture.json<Record<string, Case>>("cases")).filter(([, c]) => c.embeddings === true);
    expect(cases.length).toBe(5);
    for (const [name, { prompt }] of cases) {
      using y = encodePrompt(pipeline.parts, prompt, { plainPrompt: true, emphasis: "scale" });
      expectClose(await y.read(), await fixture.values(`${name}.states`), 1e-5);
    }
  });

  it("are refused where they do not fit, or two have one name", async () => {
    const at = { width: 32, room: 75 };
    await expect(openEmbeddings([{ source: source("toy.safetensors") }], { width: 24, room: 75 })).rejects.toThrow(
      "width 32, but this model's text encoder has width 24",
    );
    await expect(openEmbeddings([{ source: source("learned_embeds.bin") }], { width: 32, room: 2 })).rejects.toThrow(
      "has 3 vectors, but this text encoder takes 2 tokens at once",
    );
    const twice = [{ source: source("toy.safetensors") }, { source: source("bad-hands.safetensors"), name: "TOY" }];
    await expect(openEmbeddings(twice, at)).rejects.toThrow('two embeddings are called "TOY"');
    const lora = memorySource("lora.safetensors", readFileSync(fixturePath("tiny-a-lora.safetensors")));
    await expect(openEmbeddings([{ source: lora }], at)).rejects.toThrow(
      "lora.safetensors is no textual-inversion embedding: it is a LoRA",
    );
    const { embeddings } = await openEmbeddings([{ source: source("painted.pt"), name: "mine" }], at);
    expect(embeddings.map((e) => e.name)).toEqual(["mine"]);
  });
});
