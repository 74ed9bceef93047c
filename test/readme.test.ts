// The README's examples are run as they stand, against the sources; what their comments promise is compared.

import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import * as neutral from "../src/index.js";
import * as safetensors from "../src/io/safetensors.js";
import * as node from "../src/node.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");
const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code ?? "");
const modules: Readonly<Record<string, object>> = {
  kineograph: neutral,
  "kineograph/node": node,
  "kineograph/safetensors": safetensors,
};

/** Runs an example as the body of an async function, its imports taken from the sources; returns what it printed. */
async function run(code: string): Promise<unknown[][]> {
  const body = code.replaceAll(/^import \{([^}]*)\} from "([^"]+)";$/gm, 'const {$1} = modules["$2"];');
  const wrapped = `return (async () => {\n${body}\n})();`;
  const { outputText } = ts.transpileModule(wrapped, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  const printed: unknown[][] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...values: unknown[]) => void printed.push(values));
  try {
    // oxlint-disable-next-line typescript/no-implied-eval -- running what the README says is the point
    await (new Function("modules", outputText) as (m: typeof modules) => Promise<void>)(modules);
  } finally {
    log.mockRestore();
  }
  return printed;
}

describe("README", () => {
  const before = process.cwd();
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "kineograph-readme-"));
    process.chdir(root);
  });
  afterAll(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  });

  it("has examples", () => {
    expect(examples).toHaveLength(3);
  });

  it("generates, step by step, and writes a file", async () => {
    const file = join(folder, "star.gif");
    const printed = await run(examples[0]!.replace('"star.gif"', JSON.stringify(file)));
    expect(printed.map(([line]) => String(line).replace(/\d+\.\d s$/, "… s"))).toEqual([
      "step 1 of 2: … s",
      "step 2 of 2: … s",
    ]);
    expect(statSync(file).size).toBeGreaterThan(500);
  });

  it.each([1, 2])("prints what its comments say (example %i)", async (index) => {
    const code = examples[index]!;
    const promised = [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
    const printed = await run(code);
    expect(printed.map(([value]) => Array.from(value as ArrayLike<unknown>).join(", "))).toEqual(promised);
    expect(promised.length).toBeGreaterThan(1);
  });

  it("names only files and commands that exist", () => {
    const paths = [...readme.matchAll(/`((?:src|kernels|shaders|models|test|scripts|docs|\.ci)\/[\w./-]*)`/g)].map(
      ([, p]) => p!,
    );
    expect(paths.length).toBeGreaterThan(10);
    for (const path of paths.filter((p) => p !== "docs/api"))
      expect(() => statSync(join(root, path)), path).not.toThrow();
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    for (const [, name] of readme.matchAll(/npm run ([a-z][a-z:-]*)/g)) expect(scripts).toHaveProperty(name!);
  });
});
