// Byte sources, folders and the uniform view of checkpoints over them.

import {
  mkdtempSync,
  openSync,
  ftruncateSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
  closeSync,
  mkdirSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blobSource, fetchSource, memorySource, sliceSource, type ByteSource } from "../../src/io/byte-source.js";
import { CheckpointError } from "../../src/io/errors.js";
import { fileListFolder, memoryFolder, subfolder, urlFolder } from "../../src/io/folder.js";
import { openFile, openFolder } from "../../src/io/node-file.js";
import { writeSafetensors } from "../../src/io/safetensors.js";
import { chooseWeights, openWeights, openWeightsFolder } from "../../src/io/weight-files.js";

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
let dir: string;
let server: Server;
let base: string;
/** What the server does next, besides serving: fail with these statuses, or ignore ranges. */
const behaviour = { fail: [] as number[], ranges: true, tag: '"1"' };

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "kineograph-sources-"));
  writeFileSync(join(dir, "x.bin"), bytes);
  server = createServer((request, response) => {
    const status = behaviour.fail.shift();
    if (status !== undefined) {
      response.writeHead(status).end();
      return;
    }
    if (request.url !== "/m/x.bin") {
      response.writeHead(404).end();
      return;
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (!range || !behaviour.ranges) {
      response.writeHead(200, { "content-length": bytes.length }).end(bytes);
      return;
    }
    const [from, to] = [Number(range[1]), Number(range[2])];
    response
      .writeHead(206, { "content-range": `bytes ${from}-${to}/${bytes.length}`, etag: behaviour.tag })
      .end(bytes.subarray(from, to + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/m`;
});
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true });
});

describe("byte sources", () => {
  const makers: Record<string, () => Promise<ByteSource>> = {
    memory: async () => memorySource("x", bytes),
    blob: async () => blobSource(new Blob([bytes]), "x"),
    file: () => openFile(join(dir, "x.bin")),
    fetch: () => fetchSource(`${base}/x.bin`),
    slice: async () => sliceSource(memorySource("y", new Uint8Array([9, 9, ...bytes, 9])), 2, 1000),
  };
  it.each(Object.keys(makers))("%s reads any range and refuses what lies outside", async (kind) => {
    const source = await makers[kind]!();
    expect(source.size).toBe(1000);
    expect(await source.read(0, 1000)).toEqual(bytes);
    expect(await source.read(990, 10)).toEqual(bytes.slice(990));
    expect((await source.read(1000, 0)).length).toBe(0);
    for (const [at, n] of [
      [995, 6],
      [-1, 2],
      [0, 1001],
      [1.5, 2],
      [NaN, 1],
    ] as const)
      await expect(source.read(at, n)).rejects.toBeInstanceOf(CheckpointError);
    await source.close?.();
  });

  it("file: reads beyond 4 GB", async () => {
    const path = join(dir, "sparse.bin");
    const fd = openSync(path, "w");
    ftruncateSync(fd, 5 * 2 ** 30);
    writeSync(fd, Buffer.from("here"), 0, 4, 5 * 2 ** 30 - 4);
    closeSync(fd);
    const source = await openFile(path);
    expect(Buffer.from(await source.read(5 * 2 ** 30 - 6, 6)).toString("latin1")).toBe("\0\0here");
    await source.close();
    rmSync(path);
  });

  it("file: says what is wrong with a path", async () => {
    await expect(openFile(join(dir, "none"))).rejects.toThrow(/none: no such file/);
    await expect(openFile(dir)).rejects.toThrow(/it is a folder/);
  });

  it("fetch: tries again after a failure of the server, not after a refusal", async () => {
    const source = await fetchSource(`${base}/x.bin`);
    behaviour.fail = [503, 429];
    expect(await source.read(5, 3)).toEqual(bytes.slice(5, 8));
    await expect(fetchSource(`${base}/none`)).rejects.toThrow(/404/);
  });

  it("fetch: takes the whole file from a server without ranges, and notices a changed one", async () => {
    behaviour.ranges = false;
    expect(await (await fetchSource(`${base}/x.bin`)).read(3, 4)).toEqual(bytes.slice(3, 7));
    behaviour.ranges = true;
    const source = await fetchSource(`${base}/x.bin`);
    behaviour.tag = '"2"';
    await expect(source.read(0, 4)).rejects.toThrow(/changed on the server/);
    await expect(fetchSource("http://127.0.0.1:9/x", { attempts: 1 })).rejects.toThrow(/cannot be reached/);
  });
});

describe("folders", () => {
  it("list, open and stay inside, on disk through links, in memory, from a file list and from a server", async () => {
    mkdirSync(join(dir, "model/unet"), { recursive: true });
    writeFileSync(join(dir, "blob"), "{}");
    symlinkSync(join(dir, "blob"), join(dir, "model/unet/config.json"));
    writeFileSync(join(dir, "model/.hidden"), "");
    const file = new File(["{}"], "config.json");
    Object.defineProperty(file, "webkitRelativePath", { value: "model/unet/config.json" });
    const folders = [
      await openFolder(join(dir, "model")),
      memoryFolder("model", new Map([["unet/config.json", "{}"]])),
      fileListFolder([file]),
    ];
    for (const folder of folders) {
      expect(await folder.list()).toEqual(["unet/config.json"]);
      expect(await folder.readText("unet/config.json")).toBe("{}");
      const unet = subfolder(folder, "unet");
      expect(await unet.list()).toEqual(["config.json"]);
      const source = await unet.open("config.json");
      expect(source.size).toBe(2);
      await source.close?.();
      for (const path of ["../blob", "/etc/hostname", "unet/../../blob", "C:\\x", "unet//config.json"])
        await expect(folder.open(path)).rejects.toThrow(/no path inside/);
      await expect(folder.open("none")).rejects.toThrow(/no such file/);
    }
    const served = urlFolder(`${base}/`, ["x.bin"]);
    expect((await served.open("x.bin")).size).toBe(1000);
    await expect(served.open("y.bin")).rejects.toThrow(/no such file/);
  });
});

const tensor = (name: string, value: number) => ({
  name,
  dtype: "F32" as const,
  shape: [1],
  data: new Uint8Array(new Float32Array([value]).buffer),
});

describe("weights", () => {
  it("chooses unmarked safetensors first, then fp16, then .bin, and a variant only if asked", () => {
    const all = [
      "diffusion_pytorch_model.fp16.safetensors",
      "diffusion_pytorch_model.bin",
      "diffusion_pytorch_model.safetensors",
      "config.json",
    ];
    expect(chooseWeights("unet", all)).toBe("diffusion_pytorch_model.safetensors");
    expect(chooseWeights("unet", all.slice(0, 2))).toBe("diffusion_pytorch_model.fp16.safetensors");
    expect(chooseWeights("unet", all.slice(1, 2))).toBe("diffusion_pytorch_model.bin");
    expect(chooseWeights("unet", all, { variant: "fp16" })).toBe("diffusion_pytorch_model.fp16.safetensors");
    expect(chooseWeights("te", ["model.safetensors", "pytorch_model.bin"])).toBe("model.safetensors");
    expect(chooseWeights("motion", ["mine.safetensors", "config.json"])).toBe("mine.safetensors");
    expect(() => chooseWeights("unet", all, { variant: "int8" })).toThrow(/variant "int8"/);
    expect(() => chooseWeights("unet", ["a.ckpt", "b.ckpt"])).toThrow(/found a.ckpt, b.ckpt/);
  });

  const shard = (...names: string[]) => writeSafetensors(names.map((n, i) => tensor(n, i)));
  const sharded = (map: Record<string, string>) =>
    memoryFolder(
      "unet",
      new Map<string, Uint8Array | string>([
        ["diffusion_pytorch_model.safetensors.index.json", JSON.stringify({ weight_map: map })],
        ["one.safetensors", shard("a", "b")],
        ["two.safetensors", shard("c")],
      ]),
    );

  it("reads shards as one", async () => {
    const file = await openWeightsFolder(sharded({ a: "one.safetensors", b: "one.safetensors", c: "two.safetensors" }));
    expect([...file.entries()].map((e) => e.name)).toEqual(["a", "b", "c"]);
    expect(file.has("c")).toBe(true);
    expect([...(await file.read("b", "f16"))]).toEqual([0, 0x3c]);
    expect(() => file.entry("d")).toThrow(/no tensor "d"/);
    await file.close();
  });

  it("refuses an index that names missing shards, missing tensors or other folders", async () => {
    await expect(openWeightsFolder(sharded({ a: "three.safetensors" }))).rejects.toThrow(/download the missing file/);
    await expect(openWeightsFolder(sharded({ d: "one.safetensors" }))).rejects.toThrow(/"d" should be in one/);
    await expect(openWeightsFolder(sharded({ a: "../one.safetensors" }))).rejects.toThrow(/no path inside/);
  });

  it("names a file that is no checkpoint", async () => {
    await expect(openWeights(memorySource("x.safetensors", new TextEncoder().encode("<html>")))).rejects.toThrow(
      /x.safetensors is no checkpoint: it is a web page/,
    );
  });
});
