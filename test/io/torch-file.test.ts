// torch.save's files: read as torch reads them, hostile ones refused at once, mutated ones with errors of ours.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memorySource, type ByteSource } from "../../src/io/byte-source.js";
import { CheckpointError } from "../../src/io/errors.js";
import { openSafetensors } from "../../src/io/safetensors.js";
import { openTorchFile } from "../../src/io/torch-file.js";
import { openWeights } from "../../src/io/weight-files.js";
import { openZipEntry, readZip } from "../../src/io/zip.js";
import { Chance, fuzzCount, mutate } from "./mutations.js";
import { writeZip } from "./zip-writer.js";

const folder = new URL("../reference/fixtures/torch/", import.meta.url);
const load = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)));
const open = (bytes: Uint8Array, name = "x.ckpt") => openTorchFile(memorySource(name, bytes));
const latin = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const pickled = (pickle: string | Uint8Array, ...storages: [string, Uint8Array][]) =>
  writeZip([
    { name: "archive/data.pkl", data: typeof pickle === "string" ? latin(pickle) : pickle },
    ...storages.map(([key, data]) => ({ name: `archive/data/${key}`, data })),
  ]);

async function matches(file: string, reference: string, rename = (n: string) => n): Promise<void> {
  const weights = await open(load(file));
  const wanted = await openSafetensors(memorySource(reference, load(reference)));
  expect([...weights.entries()].map((e) => rename(e.name)).toSorted()).toEqual([...wanted.tensors.keys()].toSorted());
  for (const { name, shape, dtype } of weights.entries()) {
    const info = wanted.info(rename(name));
    expect([shape, dtype]).toEqual([info.shape, info.dtype]);
    const bytes = [...(await wanted.read(rename(name)))];
    expect([...(await weights.read(name, "stored"))]).toEqual(bytes);
    const pieces: number[] = [];
    for await (const p of weights.chunks(name, "stored", 24)) pieces.push(...p.bytes);
    expect(pieces).toEqual(bytes);
  }
}

describe("torch files", () => {
  it("reads every element type", () => matches("types.pt", "types.safetensors"));
  it.each([2, 3, 4, 5])("reads shared storages, views and parameters, protocol %i", (protocol) =>
    matches(`views-${protocol}.pt`, "views.safetensors"),
  );
  it("finds the state dict of a training checkpoint and says what it leaves out", async () => {
    await matches("training.ckpt", "training.safetensors");
    const { notes } = await open(load("training.ckpt"));
    expect(notes).toEqual([
      'only "state_dict" is read; beside it: epoch, lr, name, optimizer_states, flags',
      expect.stringMatching(/"module."/),
    ]);
  });
  it("joins nested dicts with dots", async () => {
    const weights = await open(load("nested.bin"));
    expect([...weights.entries()].map((e) => [e.name, e.shape])).toEqual([
      ["image_proj.proj.weight", [5, 7]],
      ["ip_adapter.1.to_k_ip.weight", [7, 5]],
    ]);
  });
  it("is opened by openWeights, and converts", async () => {
    const weights = await openWeights(memorySource("t.pt", load("types.pt")));
    const halves = await weights.read("float64", "f16");
    expect(halves).toEqual(await weights.read("float16", "stored"));
    expect(() => weights.entry("none")).toThrow(/no tensor "none"/);
  });
  it("refuses the format before 1.6 with the cure", async () => {
    await expect(open(load("legacy.pt"))).rejects.toThrow(
      /format before 1.6; load it with a current PyTorch and torch.save/,
    );
  });
});

describe("zip archives", () => {
  const files = [
    { name: "a.txt", data: "hello" },
    { name: "b/ü.bin", data: new Uint8Array(1000).fill(7) },
  ];
  it.each([false, true])("reads stored entries in place (64-bit fields: %s)", async (zip64) => {
    const source = memorySource("z.zip", writeZip(files, zip64));
    const zip = await readZip(source);
    expect([...zip.keys()]).toEqual(["a.txt", "b/ü.bin"]);
    const entry = await openZipEntry(source, zip.get("b/ü.bin")!);
    expect(await entry.read(0, entry.size)).toEqual(files[1]!.data);
  });
  it("refuses compressed and encrypted entries, repeated names, and what is cut off", async () => {
    const odd = memorySource(
      "z.zip",
      writeZip([
        { name: "a", data: "x", method: 8 },
        { name: "b", data: "y", flags: 1 },
      ]),
    );
    const zip = await readZip(odd);
    await expect(openZipEntry(odd, zip.get("a")!)).rejects.toThrow(/"a" is compressed/);
    await expect(openZipEntry(odd, zip.get("b")!)).rejects.toThrow(/"b" is encrypted/);
    await expect(readZip(memorySource("z", writeZip([files[0]!, files[0]!])))).rejects.toThrow(/"a.txt" twice/);
    await expect(readZip(memorySource("z", writeZip(files).slice(0, -30)))).rejects.toThrow(/is missing/);
    await expect(open(writeZip(files))).rejects.toThrow(/none of torch.save: it holds "a.txt"/);
    await expect(
      open(
        writeZip([
          { name: "x/data.pkl", data: "N." },
          { name: "x/constants.pkl", data: "" },
        ]),
      ),
    ).rejects.toThrow(/TorchScript/);
  });
});

/** `BINUNICODE` of a text. */
const text = (s: string) => `X${String.fromCharCode(s.length, 0, 0, 0)}${s}`;

describe("hostile pickles", () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ["os.system", "cos\nsystem\n(S'echo x'\ntR.", /wants "os.system", which is no part of a tensor and is not run/],
    ["posix.system by stack", `\x80\x04${text("posix")}${text("system")}\x93.`, /wants "posix.system"/],
    ["builtins.eval", "\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", /wants "builtins.eval"/],
    ["a dotted path through an allowed module", "ctorch\n_utils.sys.modules\n.", /wants "torch._utils.sys.modules"/],
    ["getattr", "c__builtin__\ngetattr\n.", /wants "__builtin__.getattr"/],
    ["INST", "(ios\nsystem\n.", /wants "os.system"/],
    ["an extension", "\x80\x02\x82\x01.", /holds more than tensors/],
    [
      "calling a callback's class",
      "cpytorch_lightning.callbacks\nModelCheckpoint\n)R.",
      /calls "pytorch_lightning.callbacks.ModelCheckpoint"/,
    ],
    ["calling a result", "ccollections\nOrderedDict\n)R)R.", /calls a value, which is not run/],
    ["attributes of a global", "ccollections\nOrderedDict\n}b.", /sets attributes/],
    ["a dict that holds itself", `}q\x00${text("a")}h\x00s.`, /nests more values|holds no tensors/],
    ["a list that holds itself", "]q\x00h\x00a.", /holds no tensors/],
    [
      "dicts in dicts, each twice",
      `}q\x00${Array.from({ length: 60 }, (_, i) => `}${text("a")}h${String.fromCharCode(i)}s${text("b")}h${String.fromCharCode(i)}sq${String.fromCharCode(i + 1)}`).join("")}.`,
      /nests more values|holds no tensors/,
    ],
    ["deep nesting", "]".repeat(190_000) + "a".repeat(189_999) + ".", /holds no tensors/],
    ["a stack too high", "(".repeat(2_000_000), /more values than/],
    ["too many instructions", latin("N0".repeat(8_000_000)), /more instructions/],
    [
      "a memo too large",
      latin(
        `N${Array.from({ length: 1_100_000 }, (_, i) => `r${String.fromCharCode(i & 255, (i >> 8) & 255, (i >> 16) & 255, 0)}`).join("")}.`,
      ),
      /more values than/,
    ],
    ["an integer too long", `L${"9".repeat(90_000)}L\n.`, /for a number/],
    ["a long of 2 GB", "\x8b\xff\xff\xff\x7f", /is cut off/],
    ["a text beyond the end", "X\xff\xff\xff\x7fabc", /is cut off/],
    ["a text of 2^63 bytes", "\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", /is cut off/],
    ["a memo slot that is empty", "h\x05.", /used before it exists/],
    ["a later protocol", "\x80\x06.", /protocol later than 5/],
    ["nothing on the stack", ".", /takes a value where there is none/],
    ["no end", "NNN", /is cut off/],
    ["no tensors", "}.", /holds no tensors/],
  ])("refuses %s in under a second", async (_, pickle, message) => {
    const bytes = pickled(pickle);
    const start = process.cpuUsage(); // not the clock's time: a busy machine is no fault of the reader
    const error = await open(bytes).then(
      () => undefined,
      (e: unknown) => e,
    );
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1e6).toBeLessThan(1);
    expect(error).toBeInstanceOf(CheckpointError);
    expect(String(error)).toMatch(message);
  });

  const storage = (key: string, n: number, type = "FloatStorage") =>
    `(${text("storage")}ctorch\n${type}\n${text(key)}${text("cpu")}K${String.fromCharCode(n)}tQ`;
  const tensor = (inner: string, offset: string, shape: string, strides: string) =>
    `}${text("w")}ctorch._utils\n_rebuild_tensor_v2\n(${inner}${offset}${shape}${strides}\x89)tRs.`;
  const sixteen: [string, Uint8Array] = ["0", new Uint8Array(16)];

  it("reads a tensor described by hand", async () => {
    const bytes = pickled(tensor(storage("0", 4), "K\x00", "K\x02K\x02\x86", "K\x01K\x02\x86"), [
      "0",
      new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer),
    ]);
    const weights = await open(bytes);
    expect([...new Float32Array((await weights.read("w", "f32")).buffer)]).toEqual([1, 3, 2, 4]);
  });

  it.each<[string, string, RegExp]>([
    ["beyond its storage", tensor(storage("0", 4), "K\x01", "K\x02K\x02\x86", "K\x02K\x01\x86"), /outside its storage/],
    [
      "with a negative offset",
      tensor(storage("0", 4), "J\xff\xff\xff\xff", "K\x02\x85", "K\x01\x85"),
      /without a shape/,
    ],
    [
      "with a negative stride",
      tensor(storage("0", 4), "K\x02", "K\x02\x85", "J\xff\xff\xff\xff\x85"),
      /without a shape/,
    ],
    ["of more sizes than strides", tensor(storage("0", 4), "K\x00", "K\x02K\x02\x86", "K\x01\x85"), /without a shape/],
    [
      "expanded to 2^60",
      tensor(storage("0", 4), "K\x00", "\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x10\x85", "K\x00\x85"),
      /larger than its storage|without a shape/,
    ],
    [
      "expanded to 2^31",
      tensor(storage("0", 4), "K\x00", "\x8a\x05\x00\x00\x00\x80\x00\x85", "K\x00\x85"),
      /larger than its storage/,
    ],
    [
      "on a storage that is too short",
      tensor(storage("0", 5), "K\x00", "K\x05\x85", "K\x01\x85"),
      /has 16 bytes, its tensors want 20/,
    ],
    ["on a storage that is missing", tensor(storage("1", 4), "K\x00", "K\x04\x85", "K\x01\x85"), /"1" is missing/],
    ["on a path for a storage", tensor(storage("../0", 4), "K\x00", "K\x04\x85", "K\x01\x85"), /no storage/],
    [
      "of complex numbers",
      tensor(storage("0", 1, "ComplexDoubleStorage"), "K\x00", "K\x01\x85", "K\x01\x85"),
      /wants "torch.ComplexDoubleStorage"/,
    ],
    ["without a storage", tensor("N", "K\x00", "K\x01\x85", "K\x01\x85"), /without a storage/],
  ])("refuses a tensor %s", async (_, pickle, message) => {
    await expect(open(pickled(pickle, sixteen))).rejects.toThrow(message);
  });
});

describe("torch files under mutation", () => {
  it("opens or refuses every one with an error of ours, and reads nothing outside it", async () => {
    const chance = new Chance(11);
    const corpus = await Promise.all(
      readdirSync(folder)
        .filter((f) => /\.(pt|ckpt|bin)$/.test(f) && f !== "legacy.pt")
        .map(async (f) => {
          const bytes = load(f);
          const source = memorySource(f, bytes);
          const entries = await Promise.all(
            [...(await readZip(source)).values()].map(async (e) => {
              const entry = await openZipEntry(source, e);
              return { name: e.name, data: new Uint8Array(await entry.read(0, entry.size)) };
            }),
          );
          return { bytes, entries };
        }),
    );
    let opened = 0;
    for (let i = 0; i < fuzzCount(2500); i++) {
      const { bytes: original, entries } = chance.pick(corpus);
      // Half of them change the pickle inside a sound archive, half the archive.
      const bytes =
        chance.below(2) === 0
          ? mutate(original, chance)
          : writeZip(
              entries.map((e) => (e.name.endsWith(".pkl") ? { ...e, data: mutate(e.data, chance) } : e)),
              chance.below(2) === 0,
            );
      const inner = memorySource("fuzz", bytes);
      const source: ByteSource = {
        ...inner,
        read(offset, length) {
          if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length))
            throw new Error("read outside the file");
          return inner.read(offset, length);
        },
      };
      try {
        const weights = await openTorchFile(source);
        for (const { name } of weights.entries()) await weights.read(name, "f16");
        opened++;
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
      }
    }
    expect(opened).toBeGreaterThan(0);
  });
});
