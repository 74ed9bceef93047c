// npm run demo [-- "a prompt" [options of generate]]: builds what is not built yet, then runs `kineograph demo`.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const main = new URL("../dist/src/cli/main.js", import.meta.url);

if (!existsSync(main)) {
  console.error("Building Kineograph first (npm run build)");
  const built = spawnSync("npm run --silent build", { cwd: root, stdio: ["ignore", 2, 2], shell: true });
  if (built.status !== 0) process.exit(built.status ?? 1);
}
process.argv.splice(1, 1, fileURLToPath(main), "demo");
await import(main.href);
