// Compiling ahead on other devices: in the order of need, given up where it fails, and found by the device that runs.

import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { Forerunners } from "../../src/gpu/forerunners.js";
import { openDevice } from "../../src/gpu/open.js";
import { elsewhere, nodeGPU } from "../../src/node-device.js";
import { Tensor } from "../../src/tensor/tensor.js";

const shader = (n: number) =>
  `@group(0) @binding(0) var<uniform> p: vec4u;
   @group(0) @binding(1) var<storage, read_write> y: array<u32>;
   @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = id.x * ${n}u; }`;

/** A device that notes what is compiled on it, and is done with a dispatch when `next` is called. */
function fake(lost: Promise<unknown> = new Promise(() => undefined)) {
  const compiled: string[] = [];
  const waiting: (() => void)[] = [];
  let ms = 0;
  const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups() {}, end() {} };
  const gpu = {
    lost,
    createBuffer: () => ({}),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createBindGroup: () => ({}),
    createShaderModule({ code }: { code: string }) {
      compiled.push(code);
      return { getCompilationInfo: () => Promise.resolve({ messages: [] }) };
    },
    createComputePipelineAsync: () => Promise.resolve({}),
    createCommandEncoder: () => ({ beginComputePass: () => pass, finish: () => ({}) }),
    queue: { submit() {}, onSubmittedWorkDone: () => new Promise<void>((resolve) => waiting.push(resolve)) },
    destroy: vi.fn(),
  };
  const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
  const clock = vi.spyOn(performance, "now").mockImplementation(() => ms);
  return {
    gpu: gpu as unknown as GPUDevice,
    compiled,
    destroyed: gpu.destroy,
    async next(took = 100) {
      await turn();
      ms += took;
      waiting.shift()?.();
      await turn();
    },
    [Symbol.dispose]: () => clock.mockRestore(),
  };
}

describe("Forerunners", () => {
  it("compile in order, what is waited for before the rest, each shader once", async () => {
    using device = fake();
    const runners = new Forerunners({ open: () => Promise.resolve(device.gpu), count: 1 });
    expect(runners.busy).toBe(false);
    runners.begin(["a", "b", "c", "d"]);
    await device.next();
    let done = false;
    void runners.done(["d", "of nobody's"]).then(() => (done = true));
    await device.next(); // b was begun
    expect(done).toBe(false);
    await device.next();
    expect(done).toBe(true);
    expect(device.compiled).toEqual(["a", "b", "d", "c"]);
    runners.begin(["a", "d"]);
    await device.next();
    expect(runners.busy).toBe(false);
    expect(device.compiled).toHaveLength(4);
    expect(device.destroyed).toHaveBeenCalledOnce();
  });

  it("stop where everything is in the cache already", async () => {
    using device = fake();
    const runners = new Forerunners({ open: () => Promise.resolve(device.gpu), count: 1 });
    runners.begin(["a", "b", "c", "d", "e", "f"]);
    for (let i = 0; i < 4; i++) await device.next(3);
    expect(device.compiled).toHaveLength(4);
    await runners.done(["f"]);
    expect(runners.busy).toBe(false);
  });

  it.each([
    ["there is no device", () => Promise.reject(new Error("no"))],
    ["the device is lost", () => Promise.resolve(fake(Promise.resolve({})).gpu)],
  ])("hold nobody up where %s", async (_, open) => {
    const runners = new Forerunners({ open, count: 2 });
    runners.begin(["a", "b", "c"]);
    await runners.done(["a", "b", "c"]);
    expect(runners.busy).toBe(false);
    vi.restoreAllMocks();
  });

  it("leave in Mesa's cache what the device then finds there", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "kineograph-shaders-"));
    const outer = process.env["MESA_SHADER_CACHE_DIR"];
    process.env["MESA_SHADER_CACHE_DIR"] = folder; // read by instances that are made now
    try {
      const request = async (flags: readonly string[]) =>
        (await (await nodeGPU([...flags, "backend=vulkan"])).requestAdapter())!;
      const adapter = await request([]);
      const ahead = elsewhere(adapter, request);
      if (!ahead) return context.skip("not llvmpipe");
      using device = await openDevice(adapter, {}, "adapter", ahead);
      const codes = Array.from({ length: 3 }, () => shader(Math.ceil(Math.random() * 2 ** 30)));
      device.compileAhead(codes);
      const run = async (code: string) => {
        using y = device.scope(() => {
          const t = Tensor.empty(device, [64], "f32", "y");
          const own = { label: "ahead", code, bindings: [t.binding()], params: [0, 0, 0, 0] };
          device.dispatch({ ...own, workgroups: [1, 1, 1], flops: 64, bytes: 256 });
          return t;
        });
        await device.drain();
        expect(new Uint32Array((await y.read()).buffer)[1]).toBe(Number(/\* (\d+)u/.exec(code)![1]));
      };
      await run(codes[0]!);
      while (device.compiling > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      const before = await settled(folder);
      expect(before).toBeGreaterThan(0);
      for (const code of codes) await run(code);
      expect(await settled(folder)).toBe(before);
      await run(shader(2 ** 31));
      expect(await settled(folder)).toBeGreaterThan(before);
    } finally {
      if (outer === undefined) delete process.env["MESA_SHADER_CACHE_DIR"];
      else process.env["MESA_SHADER_CACHE_DIR"] = outer;
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("pass over a shader with errors: with validation left out it would end the process", async (context) => {
    const request = async (flags: readonly string[]) =>
      (await (await nodeGPU([...flags, "backend=vulkan"])).requestAdapter())!;
    const ahead = elsewhere(await request([]), request);
    if (!ahead) return context.skip("not llvmpipe");
    const runners = new Forerunners(ahead);
    const codes = [shader(1).replace("y[id.x] =", "z[id.x] ="), "no shader"];
    runners.begin(codes);
    await runners.done(codes);
    expect(runners.busy).toBe(false);
  });
});

/** Bytes in a folder, once they no longer change: Mesa writes by and by. */
async function settled(folder: string): Promise<number> {
  let last = -1;
  for (;;) {
    const size = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((e) => e.isFile())
      .reduce((sum, e) => sum + statSync(join(e.parentPath, e.name)).size, 0);
    if (size === last) return size;
    last = size;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
