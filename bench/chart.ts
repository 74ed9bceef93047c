// Charts in a folder: drawn from the JSON beside them, so that they can be drawn again without measuring.
// `npm run bench:chart` draws those of docs/performance.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { peersChart } from "./charts/peers.js";
import { rooflineChart } from "./charts/roofline.js";
import type { PeerResult } from "./peers.js";
import type { Roofline } from "./roofline.js";

/** What `bench --peers --chart` keeps. */
export interface PeerFile {
  readonly adapter: string;
  readonly results: readonly PeerResult[];
}

/** Chart by name of its file, from the text of the JSON. */
export const CHARTS: Readonly<Record<string, (json: string) => string>> = {
  peers: (json) => {
    const { adapter, results } = JSON.parse(json) as PeerFile;
    return peersChart(results, adapter);
  },
  roofline: (json) => rooflineChart(JSON.parse(json) as Roofline),
};

/** Keeps measurements as `<name>.json` in `folder`, and draws them. Returns the chart's path. */
export function keep(folder: string, name: "peers" | "roofline", data: PeerFile | Roofline): string {
  mkdirSync(folder, { recursive: true });
  const json = `${JSON.stringify(data, (_, v: unknown) => (typeof v === "number" ? Number(v.toPrecision(5)) : v))}\n`;
  writeFileSync(join(folder, `${name}.json`), json);
  const path = join(folder, `${name}.svg`);
  writeFileSync(path, CHARTS[name]!(json));
  return path;
}

/** `results`, in the order of `names`, with those of other cases that `folder` keeps of the same adapter. */
export function withKept(folder: string, { adapter, results }: PeerFile, names: readonly string[]): PeerFile {
  const path = join(folder, "peers.json");
  const kept = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as PeerFile) : undefined;
  const all = new Map([...(kept?.adapter === adapter ? kept.results : []), ...results].map((r) => [r.name, r]));
  return { adapter, results: names.flatMap((name) => all.get(name) ?? []) };
}

/** Draws again every chart whose measurements lie in `folder`. */
export function redraw(folder: string): void {
  for (const [name, draw] of Object.entries(CHARTS)) {
    const json = join(folder, `${name}.json`);
    if (existsSync(json)) writeFileSync(join(folder, `${name}.svg`), draw(readFileSync(json, "utf8")));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) redraw(process.argv[2] ?? "docs/performance");
