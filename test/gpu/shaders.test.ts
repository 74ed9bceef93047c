// Every shader is a complete module: Dawn's null backend compiles and validates each as it stands, whatever this machine's
// adapter lacks.

import { afterAll, describe, expect, it } from "vitest";
import { specialize } from "../../src/gpu/wgsl.js";
import { WANTED_FEATURES } from "../../src/gpu/limits.js";
import { nodeGPU } from "../../src/node-device.js";
import { shaders } from "../../shaders/index.js";

describe("shaders", async () => {
  const gpu = await nodeGPU(["backend=null"]);
  const adapter = await gpu.requestAdapter();
  const device = await adapter!.requestDevice({ requiredFeatures: WANTED_FEATURES as GPUFeatureName[] });
  afterAll(() => device.destroy());

  it.each(Object.entries(shaders).filter(([name]) => !name.startsWith("lib/")))("%s compiles", async (_, text) => {
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code: specialize(text, {}) });
    const { messages } = await module.getCompilationInfo();
    await device.popErrorScope();
    expect(messages.filter((m) => m.type === "error").map((m) => `${m.lineNum}:${m.linePos} ${m.message}`)).toEqual([]);
  });

  // Whoever writes a component may write the whole vector, others' components as they were: Dawn's interpreter calls that a race.
  it.each(Object.entries(shaders))("%s writes vectors that invocations share as a whole", (_, text) => {
    const names = [...text.matchAll(/^var<workgroup> (\w+): array<(?:vec|V,)/gm)].map((m) => m[1]!);
    const parts = names.map(
      (name) => new RegExp(`^\\s*${name}\\[[^=\\n]*\\](?:\\[[^=\\n]*\\]|\\.\\w+) *[-+*/]?=[^=].*$`, "gm"),
    );
    expect(parts.flatMap((part) => text.match(part) ?? [])).toEqual([]);
  });
});
