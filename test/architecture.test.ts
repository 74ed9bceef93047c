// The plan of the house, held: layers by imports, one size of file, platform-neutral means it, every shader has its
// dispatcher and every dispatcher its test.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Low to high; a file imports from its own layer or a lower one. The first prefix that fits decides. */
const LAYERS: readonly (readonly string[])[] = [
  ["src/gpu/", "src/version.ts"],
  ["src/tensor/", "src/io/"],
  ["shaders/"],
  ["kernels/"],
  ["src/nn/"],
  ["src/models/", "src/schedulers/"],
  ["src/pipelines/"],
  ["src/index.ts", "src/node.ts", "src/node-"],
  ["bench/"],
  ["src/cli/", "src/web/"],
];
/** What a browser cannot load. */
const NODE_ONLY = /^(node:|webgpu$|sharp$|commander$)/;
const CEILING = 400;

function files(folder: string, suffix: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && e.name.endsWith(suffix))
    .map((e) =>
      normalize(join(e.parentPath, e.name))
        .slice(normalize(`${root}/`).length)
        .replaceAll("\\", "/"),
    );
}

function text(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** Module names a file imports; `types` also those of `import type`. */
function imports(file: string, types = true): string[] {
  const source = text(file);
  const found = [...source.matchAll(/^(?:import|export)\s(type\s)?(?:[^"';]*?\sfrom\s)?"([^"]+)";?$/gm)].map((m) => ({
    type: m[1] !== undefined,
    name: m[2]!,
  }));
  const dynamic = [...source.matchAll(/(typeof )?\bimport\("([^"]+)"\)/g)].map((m) => ({
    type: m[1] !== undefined,
    name: m[2]!,
  }));
  return [...found, ...dynamic].filter((i) => types || !i.type).map((i) => i.name);
}

/** The source file that a relative import names. */
function target(from: string, name: string): string {
  const path = normalize(join(dirname(from), name))
    .replaceAll("\\", "/")
    .replace(/\.js$/, ".ts");
  return existsSync(join(root, `${path}x`)) ? `${path}x` : path;
}

function layer(file: string): number {
  return LAYERS.findIndex((prefixes) => prefixes.some((p) => file.startsWith(p)));
}

const sources = [...files("src", ".ts"), ...files("src", ".tsx"), ...files("kernels", ".ts"), ...files("bench", ".ts")];
const shaders = files("shaders", ".wgsl").filter((f) => !f.startsWith("shaders/lib/"));

describe("architecture", () => {
  it("has a layer for every source file", () => {
    expect(sources.filter((f) => layer(f) < 0)).toEqual([]);
  });

  it("imports downwards only", () => {
    const upward = sources.flatMap((file) =>
      imports(file)
        .filter((name) => name.startsWith("."))
        .map((name) => target(file, name))
        .filter((to) => layer(to) > layer(file))
        .map((to) => `${file} → ${to}`),
    );
    expect(upward).toEqual([]);
  });

  it("reaches nothing of Node from src/index.ts or the safetensors entry", () => {
    const seen = new Set<string>();
    const reach = (file: string) => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const name of imports(file, false)) {
        if (name.startsWith(".")) reach(target(file, name));
        else expect(name, `${file} imports ${name}`).not.toMatch(NODE_ONLY);
      }
    };
    reach("src/index.ts");
    reach("src/io/safetensors.ts");
    expect(seen).toContain("src/gpu/device.ts");
  });

  it(`keeps every file within ${CEILING} lines`, () => {
    const written = [...sources, ...files("test", ".ts"), ...shaders].filter(
      (f) => !text(f).startsWith("// Generated"),
    );
    expect(
      written.map((f) => ({ f, lines: text(f).split("\n").length - 1 })).filter(({ lines }) => lines > CEILING),
    ).toEqual([]);
  });

  it("begins every file with what it is", () => {
    const bare = [...sources, ...shaders].filter((f) => !/^\s*(\/\/|\/\*|#!)/.test(text(f)));
    expect(bare).toEqual([]);
  });

  it("has a dispatcher for every shader, named after it", () => {
    const dispatchers = files("kernels", ".ts").map((f) => ({
      stem: f.slice("kernels/".length, -".ts".length),
      source: text(f),
    }));
    const orphans = shaders.filter((f) => {
      const stem = f.slice("shaders/".length, -".wgsl".length);
      return !dispatchers.some(
        (d) =>
          (stem === d.stem || stem.startsWith(`${d.stem}-`)) &&
          [`"${stem}"`, `shaders.${stem}`].some((name) => d.source.includes(name)),
      );
    });
    expect(orphans).toEqual([]);
  });

  it("tests every dispatcher", () => {
    const imported = new Set(files("test", ".ts").flatMap((f) => imports(f).map((name) => target(f, name))));
    const untested = files("kernels", ".ts").filter((f) => /shaders(\[|\.)/.test(text(f)) && !imported.has(f));
    expect(untested).toEqual([]);
  });

  it("writes what shaders share once: no run of lines is in two of them", () => {
    const RUN = 16; // tunables and bindings of a family look alike
    const seen = new Map<string, string>();
    const twice = new Set<string>();
    for (const file of [...shaders, ...files("shaders/lib", ".wgsl")]) {
      const lines = text(file)
        .split("\n")
        .map((l) => l.replace(/\/\/.*$/, "").trim())
        .filter((l) => l.length > 1);
      for (let i = 0; i + RUN <= lines.length; i++) {
        const run = lines.slice(i, i + RUN).join("\n");
        const other = seen.get(run) ?? file;
        if (other !== file) twice.add(`${other} and ${file} at “${lines[i]!}”`);
        seen.set(run, other);
      }
    }
    expect([...twice]).toEqual([]);
  });

  it("includes every shared piece of WGSL somewhere", () => {
    const users = [...files("kernels", ".ts"), ...files("shaders", ".wgsl")].map(text).join("\n");
    const unused = files("shaders/lib", ".wgsl")
      .map((f) => f.slice("shaders/".length, -".wgsl".length))
      .filter((name) => !users.includes(name));
    expect(unused).toEqual([]);
  });
});
