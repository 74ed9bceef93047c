// kineograph bench: the kernels at the model's real layer shapes, each checked before it is timed.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cases } from "../../bench/index.js";
import { keep, withKept } from "../../bench/chart.js";
import { peerTable, runPeers } from "../../bench/peers.js";
import { measureRoofline, rooflineTable } from "../../bench/roofline.js";
import { pretendBench, runBench, type BenchResult } from "../../bench/run.js";
import { chooseAdapter, openAdapter, requestAdapter } from "./adapters.js";
import { UsageError } from "./failure.js";
import { interruptible } from "./interrupt.js";
import type { TuneArguments } from "./options-tune.js";
import { Terminal } from "./terminal.js";
import { tuneBench } from "./tuning.js";

export interface BenchArguments extends TuneArguments {
  readonly precision?: "f32" | "f16";
  readonly peers?: boolean;
  readonly roofline?: boolean;
  readonly chart?: string;
  readonly device?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Names of all cases, for the help. */
export function benchNames(): readonly string[] {
  return cases.map((c) => c.name);
}

export async function bench(names: readonly string[], a: BenchArguments): Promise<void> {
  const unknown = names.find((n) => !n.endsWith("*") && !benchNames().includes(n));
  if (unknown !== undefined)
    throw new UsageError(
      `bench ${unknown}: no such case; there are\n${benchNames()
        .map((n) => `  ${n}`)
        .join("\n")}`,
    );
  if (a.peers === true && a.precision === "f16")
    throw new UsageError("--peers compares in f32; leave out --precision f16");
  if (a.roofline === true && (a.peers === true || names.length > 0))
    throw new UsageError("--roofline profiles the narrow UNet; it goes with neither --peers nor names of cases");
  if (a.chart !== undefined && a.peers !== true && a.roofline !== true)
    throw new UsageError("--chart draws what --peers or --roofline measures; add one of them");
  const terminal = new Terminal({ quiet: a.quiet });
  if (a.peers === true) emptyShaderCache();
  await interruptible(async (signal) => {
    using device = await openAdapter(a.device);
    terminal.say(device.capabilities.name);
    const precision = a.precision ?? (device.capabilities.f16 && a.peers !== true ? "f16" : "f32");
    const cases = a.roofline === true ? ["unet-narrow"] : names;
    await tuneBench(device, a, (dry) => pretendBench(dry, cases, precision), terminal, signal);
    if (a.roofline === true) {
      const roofline = await measureRoofline(device, precision);
      console.log(a.json === true ? JSON.stringify(roofline) : rooflineTable(roofline).join("\n"));
      if (a.chart !== undefined) terminal.say(`drawn: ${keep(a.chart, "roofline", roofline)}`);
      return;
    }
    if (a.peers === true) {
      const results = await runPeers(device, {
        names,
        adapter: async () => requestAdapter(await chooseAdapter(a.device)),
        fresh: () => openAdapter(a.device),
        python: process.env["KINEOGRAPH_PYTHON"],
        onMessage: (message) => terminal.say(message),
        onResult: ({ name }) => {
          terminal.step(name);
          signal.throwIfAborted();
        },
      });
      console.log(a.json === true ? JSON.stringify(results) : peerTable(results).join("\n"));
      if (a.chart !== undefined) {
        const all = withKept(a.chart, { adapter: device.capabilities.name, results }, benchNames());
        terminal.say(`drawn: ${keep(a.chart, "peers", all)}`);
      }
      return;
    }
    if (a.json !== true) console.log(line("", "ms", "GFLOPS", "GB/s", "of peak"));
    const results = await runBench(device, {
      names,
      precision,
      signal,
      onResult: (r) => {
        if (a.json !== true) console.log(row(r));
      },
    });
    if (a.json === true) console.log(JSON.stringify(results));
  });
}

function row({ name, dtype, ms, gflops, gbps, share }: BenchResult): string {
  const digits = (n: number) => (n < 10 ? n.toFixed(2) : n.toFixed(1));
  return line(`${name} ${dtype}`, digits(ms), digits(gflops), digits(gbps), `${(100 * share).toFixed(0)} %`);
}

function line(name: string, ...columns: readonly string[]): string {
  return name.padEnd(42) + columns.map((c) => c.padStart(10)).join("");
}

/** Mesa keeps compiled shaders from earlier runs; a first call is to compile, theirs and ours: with a cache that is empty. */
function emptyShaderCache(): void {
  const folder = mkdtempSync(join(tmpdir(), "kineograph-shaders-"));
  process.env["MESA_SHADER_CACHE_DIR"] = folder;
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
}
