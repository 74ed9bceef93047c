import { defineConfig } from "vitest/config";

// One worker per core and one WebGPU device per worker (test/support/device.ts): a software adapter
// compiles every pipeline anew in each process, so files share their worker.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    isolate: false,
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } }, // what a page comes to show: a busy machine takes its time
  },
});
