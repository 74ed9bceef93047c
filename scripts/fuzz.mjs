// Long fuzzing of everything that reads files of unknown origin: node scripts/fuzz.mjs [inputs per reader, 100000].
// The ordinary tests run the same code over a few thousand.

import { spawnSync } from "node:child_process";

const count = process.argv[2] ?? "100000";
if (!/^[1-9]\d*$/.test(count)) {
  console.error(`fuzz: ${count} is no number of inputs`);
  process.exit(2);
}
const { status } = spawnSync(
  "npx",
  ["vitest", "run", "test/io", "--testNamePattern", "mutation", "--testTimeout", "7200000"],
  { stdio: "inherit", env: { ...process.env, FUZZ_COUNT: count } },
);
process.exit(status ?? 1);
