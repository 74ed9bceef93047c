// Reading and writing safetensors: values against torch, hostile headers, wrong files named, fuzzing.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memorySource, type ByteSource } from "../../src/io/byte-source.js";
import { CheckpointError } from "../../src/io/errors.js";
import { openSafetensors, streamSafetensors, writeSafetensors } from "../../src/io/safetensors.js";
import { STORED_TYPES } from "../../src/io/stored-types.js";
import { Chance, fuzzCount, mutate } from "./mutations.js";

const fixture = new Uint8Array(
  readFileSync(new URL("../reference/fixtures/stored-types.safetensors", import.meta.url)),
);
const utf8 = new TextEncoder();

function open(bytes: Uint8Array, name = "x.safetensors") {
  return openSafetensors(memorySource(name, bytes));
}

/** A file with any text for a header. */
function withHeader(header: string, data = 0, claimed?: number): Uint8Array {
  const json = utf8.encode(header);
  const file = new Uint8Array(8 + json.length + data);
  new DataView(file.buffer).setBigUint64(0, BigInt(claimed ?? json.length), true);
  file.set(json, 8);
  return file;
}

const one = (over: object, data = 16) =>
  withHeader(JSON.stringify({ a: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16], ...over } }), data);

function bits(bytes: Uint8Array<ArrayBuffer>, size: 2 | 4): number[] {
  const copy = bytes.slice().buffer;
  const nan = size === 4 ? [0x7f800000, 0x7fc00000] : [0x7c00, 0x7e00];
  return [...(size === 4 ? new Uint32Array(copy) : new Uint16Array(copy))].map((b) => {
    const abs = size === 4 ? b & 0x7fffffff : b & 0x7fff;
    return abs > nan[0]! ? nan[1]! : b;
  });
}

describe("safetensors values", () => {
  it.each(STORED_TYPES)("reads %s as f32 and f16, as torch converts it", async (type) => {
    const file = await open(fixture);
    expect(file.info(type).dtype).toBe(type);
    expect(bits(await file.read(type, "f32"), 4)).toEqual(bits(await file.read(`${type}.f32`), 4));
    expect(bits(await file.read(type, "f16"), 2)).toEqual(bits(await file.read(`${type}.f16`), 2));
  });

  it("rounds 64-bit integers and doubles once, not twice", async () => {
    // 2^60 + 2^36 + 1 is just above a tie of f32, which a double no longer shows.
    const data = new BigInt64Array([2n ** 60n + 2n ** 36n + 1n, -(2n ** 60n + 2n ** 36n + 1n), 2n ** 60n + 2n ** 36n]);
    const f = await open(
      writeSafetensors([
        { name: "i", dtype: "I64", shape: [3], data: new Uint8Array(data.buffer) },
        // 1 + 2^-11 + 2^-40: above a tie of f16; in f32 the last term is gone.
        {
          name: "d",
          dtype: "F64",
          shape: [1],
          data: new Uint8Array(new Float64Array([1 + 2 ** -11 + 2 ** -40]).buffer),
        },
      ]),
    );
    expect([...(await f.readF32("i"))]).toEqual([2 ** 60 + 2 ** 37, -(2 ** 60 + 2 ** 37), 2 ** 60]);
    expect(bits(await f.read("d", "f16"), 2)).toEqual([0x3c01]);
  });

  it("keeps names, shapes, metadata and file order", async () => {
    const file = await open(fixture);
    expect([...file.metadata]).toEqual(
      expect.arrayContaining([
        ["format", "pt"],
        ["note", "ü"],
      ]),
    );
    expect(file.info("scalar").shape).toEqual([]);
    expect([...(await file.readF32("scalar"))]).toEqual([3.5]);
    expect((await file.readF32("empty")).length).toBe(0);
    expect([...(await file.readF32('ünïcode "name"\n'))]).toEqual([1, 1, 1, 1, 1, 1]);
    const begins = [...file.tensors.values()].map((t) => t.begin);
    expect(begins).toEqual(begins.toSorted((a, b) => a - b));
  });

  it("streams a tensor in pieces that are the whole", async () => {
    const file = await open(fixture);
    const pieces: number[] = [];
    const elements: number[] = [];
    for await (const { element, bytes } of file.chunks("F64", "f16", 100)) {
      elements.push(element);
      pieces.push(...bytes);
    }
    expect(elements.slice(0, 3)).toEqual([0, 12, 24]);
    expect(pieces).toEqual([...(await file.read("F64", "f16"))]);
  });
});

describe("safetensors writing", () => {
  it("gives the reference writer's file byte for byte", async () => {
    const file = await open(fixture);
    const tensors = await Promise.all(
      [...file.tensors.values()]
        .toReversed()
        .map(async ({ name, dtype, shape }) => ({ name, dtype, shape, data: await file.read(name) })),
    );
    const written = writeSafetensors(tensors, file.metadata);
    expect(written).toEqual(fixture);
    const pieces: number[] = [];
    for await (const p of streamSafetensors(
      tensors.map((t) => ({ ...t, data: () => [t.data.subarray(0, 1), t.data.subarray(1)] })),
      file.metadata,
    ))
      pieces.push(...p);
    expect(new Uint8Array(pieces)).toEqual(fixture);
  });

  it("refuses data of the wrong length and repeated names", () => {
    const t = { name: "a", dtype: "F32", shape: [2], data: new Uint8Array(8) } as const;
    expect(() => writeSafetensors([{ ...t, data: new Uint8Array(9) }])).toThrow(/takes 8 bytes, but 9/);
    expect(() => writeSafetensors([t, t])).toThrow(/"a" twice/);
  });
});

describe("safetensors that cannot be trusted", () => {
  const ok = { dtype: "F32", shape: [1], data_offsets: [0, 4] };
  const pair = (second: readonly number[], data: number) =>
    withHeader(JSON.stringify({ a: ok, b: { ...ok, data_offsets: second } }), data);
  it.each<[string, Uint8Array, RegExp]>([
    ["header beyond the file", withHeader("{}", 0, 1000), /claims 1000 bytes, but the file has 10/],
    ["header over the limit", withHeader("{}      ", 0, 2 ** 40), /the format allows 100000000/],
    ["not JSON", withHeader("{ nonsense    "), /no valid JSON/],
    ["no UTF-8", withHeader("{}      ").fill(0xff, 9), /no valid JSON/],
    [
      "duplicate tensors",
      withHeader(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        4,
      ),
      /key "a" twice/,
    ],
    [
      "duplicate properties",
      withHeader('{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}', 4),
      /key "dtype" twice/,
    ],
    ["overlap", pair([2, 6], 6), /"b" overlaps/],
    ["gap", pair([8, 12], 12), /4 bytes before tensor "b"/],
    ["bytes left over", pair([4, 8], 9), /tensors end at byte/],
    ["cut off", one({}, 15), /lies at bytes 0 to 16 of 15/],
    ["unknown type", one({ dtype: "F12" }), /type "F12"; known are/],
    ["negative size", one({ shape: [-2, -2] }), /no list of sizes/],
    ["fractional size", one({ shape: [0.5, 8] }), /no list of sizes/],
    ["huge size", one({ shape: [2 ** 53, 2 ** 53] }), /no list of sizes/],
    ["sizes that overflow", one({ shape: [2 ** 40, 2 ** 40] }), /takes .* bytes, but has 16/],
    ["many dimensions", one({ shape: Array<number>(1000).fill(1) }), /no list of sizes/],
    ["bytes that do not fit", one({ shape: [3, 2] }), /takes 24 bytes, but has 16/],
    ["offsets in reverse", one({ data_offsets: [16, 0] }), /lies at bytes 16 to 0/],
    ["offsets that are text", one({ data_offsets: ["0", "16"] }), /no two byte positions/],
    ["a number for a tensor", withHeader('{"a":1}'), /described by no JSON object/],
    ["metadata that is no text", withHeader('{"__metadata__":{"a":1}}'), /"a" is no string/],
    [
      "a prototype",
      withHeader('{"__proto__":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'),
      /cannot be called "__proto__"/,
    ],
    [
      "deep nesting",
      withHeader(`{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`),
      /described by no JSON object|no valid JSON/,
    ],
  ])("refuses: %s", async (_, bytes, message) => {
    const error = await open(bytes).then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(CheckpointError);
    expect(String(error)).toMatch(message);
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    ["web page", "\n<!DOCTYPE html><html>", /a web page/],
    ["LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", /git lfs pull/],
    ["zip", "PK\x03\x04........................", /a zip archive/],
    ["pickle", new Uint8Array([0x80, 2, 0x7d, 0x71, 0, 0x2e, 0, 0, 0, 0, 0, 0]), /a bare Python pickle/],
    ["GGUF", "GGUF\x03\0\0\0.........", /a GGUF file/],
    ["PNG", new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0]), /a PNG picture/],
    ["nothing", "", /an empty file/],
    ["zeros", new Uint8Array(64), /zero bytes/],
    ["JSON", '{"_class_name": "UNet2DConditionModel"}', /a JSON text/],
    ["a few bytes", "abc", /a text file/],
  ])("names what is no safetensors file: %s", async (_, content, message) => {
    const bytes = typeof content === "string" ? Uint8Array.from(content, (c) => c.charCodeAt(0)) : content;
    await expect(open(bytes)).rejects.toThrow(message);
    await expect(open(bytes)).rejects.toBeInstanceOf(CheckpointError);
  });
});

describe("safetensors under mutation", () => {
  const names = ["a", "b.weight", "__metadata__", "__proto__", "c"];
  const values = [
    "-1",
    "0",
    "1e308",
    "4294967296",
    "9007199254740993",
    "null",
    '"x"',
    "[]",
    "{}",
    "1.5",
    "18446744073709551616",
  ];

  /** A small file with one or two edits in the JSON of its header. */
  function edited(chance: Chance): Uint8Array {
    const dtype = chance.pick(STORED_TYPES);
    const size = chance.below(20);
    let header = JSON.stringify({
      [chance.pick(names)]: { dtype, shape: [size, chance.below(3)], data_offsets: [0, size * 2] },
      [chance.pick(names)]: { dtype: "F32", shape: [1], data_offsets: [size * 2, size * 2 + 4] },
    });
    for (let n = chance.below(3); n > 0; n--) {
      const numbers = [...header.matchAll(/\d+|"[^"]*"/g)];
      const m = chance.pick(numbers);
      header = header.slice(0, m.index) + chance.pick(values) + header.slice(m.index + m[0].length);
    }
    return withHeader(header, size * 2 + 4);
  }

  it("opens or refuses every mutated file with an error of ours, and reads nothing outside it", async () => {
    const chance = new Chance(7);
    const small = writeSafetensors(
      [
        { name: "a", dtype: "F16", shape: [2, 3], data: new Uint8Array(12) },
        { name: "b", dtype: "I64", shape: [1], data: new Uint8Array(8) },
      ],
      [["format", "pt"]],
    );
    let opened = 0;
    for (let i = 0; i < fuzzCount(4000); i++) {
      const bytes = chance.below(2) === 0 ? mutate(small, chance) : edited(chance);
      const inner = memorySource("fuzz", bytes);
      const source: ByteSource = {
        ...inner,
        read(offset, length) {
          if (offset < 0 || length < 0 || offset + length > bytes.length) throw new Error("read outside the file");
          return inner.read(offset, length);
        },
      };
      try {
        const file = await openSafetensors(source);
        for (const name of file.tensors.keys()) await file.read(name, "f16");
        opened++;
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
      }
    }
    expect(opened).toBeGreaterThan(0);
  });
});
