// Makes whole modules of shaders/**/*.wgsl and embeds them into shaders/index.ts, so that plain Node, tsc, bundlers and
// browsers all get the same text: `shaders["group-norm"]`, `shaders["lib/silu"]`. A line `// include lib/<name>.wgsl` stands
// for that file's text: declarations that variants of one algorithm share. The generated file is not committed.
// `embed-shaders.mjs <folder>` also writes the modules there, one file each, for those who import them by name.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = new URL("../shaders/", import.meta.url);

/** A shader's text with everything it includes. */
function whole(file, within = []) {
  if (within.includes(file)) throw new Error(`embed-shaders: ${[...within, file].join(" includes ")}`);
  return readFileSync(new URL(file, root), "utf8").replace(/^\/\/ include (\S+\.wgsl)\n/gm, (_, name) =>
    whole(name, [...within, file]),
  );
}

const files = readdirSync(root, { recursive: true })
  .map((f) => String(f).replaceAll("\\", "/"))
  .filter((f) => f.endsWith(".wgsl"))
  .toSorted();
const texts = files.map((f) => [f, whole(f)]);
const entries = texts.map(([f, text]) => `  ${JSON.stringify(f.slice(0, -".wgsl".length))}: ${JSON.stringify(text)},`);
const out = `// Generated from *.wgsl by scripts/embed-shaders.mjs; do not edit.\nexport const shaders = {\n${entries.join("\n")}\n} as const;\nexport type ShaderName = keyof typeof shaders;\n`;
const target = fileURLToPath(new URL("index.ts", root));
let old = "";
try {
  old = readFileSync(target, "utf8");
} catch {
  // first run
}
if (old !== out) writeFileSync(target, out);

const [folder] = process.argv.slice(2);
if (folder !== undefined)
  for (const [f, text] of texts) {
    mkdirSync(dirname(join(folder, f)), { recursive: true });
    writeFileSync(join(folder, f), text);
  }
