// kineograph devices: the adapters of this machine, what they offer, what is missing and how to get it.

import { isSoftware, WANTED_FEATURES } from "../gpu/limits.js";
import { NO_ADAPTER } from "../node-device.js";
import { listAdapters, requestAdapter } from "./adapters.js";
import { bytes } from "./format.js";

/** What the engine does without a feature. */
const WITHOUT: Readonly<Record<string, string>> = {
  "shader-f16": "activations are f32; weights still take 16 bits in memory",
  subgroups: "reductions go through workgroup memory",
  "timestamp-query": "no profiling by kernel",
  "chromium-experimental-subgroup-matrix": "no tensor cores",
};

const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBuffersPerShaderStage",
] as const;

/** One adapter, as `--json` prints it. */
interface DeviceReport {
  readonly index: number;
  readonly name: string;
  readonly backend: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly driver: string;
  readonly kind: "cpu" | "gpu";
  readonly default: boolean;
  readonly features: readonly string[];
  readonly missing: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

export async function devices(options: { readonly json?: boolean }): Promise<void> {
  const names = await listAdapters();
  const reports: DeviceReport[] = [];
  for (const [index, { name, backend }] of names.entries()) {
    const adapter = await requestAdapter({ name, backend });
    const { vendor, architecture, description } = adapter.info;
    reports.push({
      index,
      name,
      backend,
      vendor,
      architecture,
      driver: description,
      kind: isSoftware(adapter.info) ? "cpu" : "gpu",
      default: index === 0,
      features: [...adapter.features].toSorted(),
      missing: WANTED_FEATURES.filter((f) => !adapter.features.has(f)),
      limits: Object.fromEntries(LIMITS.map((l) => [l, adapter.limits[l]])),
    });
  }
  if (options.json) console.log(JSON.stringify(reports));
  else if (reports.length > 0) console.log(reports.map(text).join("\n\n"));
  if (reports.length === 0) throw new Error(NO_ADAPTER);
}

function text(r: DeviceReport): string {
  const rows: [string, string][] = [
    ["backend", r.backend],
    ["driver", [r.vendor, r.architecture, r.driver].filter((s) => s !== "").join(", ")],
    ["kind", r.kind === "gpu" ? "GPU" : "software, runs on the CPU; a GPU is ten to a thousand times faster"],
    ["has", WANTED_FEATURES.filter((f) => !r.missing.includes(f)).join(", ") || "none of the optional features"],
    ...r.missing.map((f): [string, string] => ["lacks", `${f}: ${WITHOUT[f] ?? ""}`]),
    ...Object.entries(r.limits).map(([l, v]): [string, string] => [l, /Size/.test(l) ? bytes(v) : String(v)]),
  ];
  const width = Math.max(...rows.map(([key]) => key.length));
  return [
    `${r.index}  ${r.name}${r.default ? "  (default)" : ""}`,
    ...rows.map(([key, value]) => `   ${key.padEnd(width)}  ${value}`),
  ].join("\n");
}
