// Embeds shaders/**/*.wgsl into shaders/index.ts, so that plain Node, tsc, bundlers and browsers all get the same text:
// `shaders["group-norm"]`, `shaders["lib/silu"]`. The generated file is not committed.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../shaders/", import.meta.url);
const files = readdirSync(root, { recursive: true })
  .map((f) => String(f).replaceAll("\\", "/"))
  .filter((f) => f.endsWith(".wgsl"))
  .toSorted();
const entries = files.map((f) => {
  const text = readFileSync(new URL(f, root), "utf8");
  return `  ${JSON.stringify(f.slice(0, -".wgsl".length))}: ${JSON.stringify(text)},`;
});
const out = `// Generated from *.wgsl by scripts/embed-shaders.mjs; do not edit.\nexport const shaders = {\n${entries.join("\n")}\n} as const;\nexport type ShaderName = keyof typeof shaders;\n`;
const target = fileURLToPath(new URL("index.ts", root));
let old = "";
try {
  old = readFileSync(target, "utf8");
} catch {
  // first run
}
if (old !== out) writeFileSync(target, out);
