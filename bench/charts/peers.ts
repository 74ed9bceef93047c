// How many times as fast as each peer, a group of bars a layer, on a logarithmic axis: left of 1 the peer is faster.

import type { PeerResult } from "../peers.js";
import { COLOURS, line, logarithmic, picture, powers, rectangle, text } from "./svg.js";

const PEERS = ["onnxruntime", "jax-js", "tfjs"] as const;
const [LEFT, RIGHT, TOP, BAR, GAP] = [230, 700, 62, 13, 12];

/** The chart of `kineograph bench --peers --json`. `adapter`: for the caption. */
export function peersChart(results: readonly PeerResult[], adapter: string): string {
  const rows = results.flatMap((r) => [
    {
      name: r.name,
      bars: [
        { peer: "onnxruntime", ratio: r.ratio },
        ...(r.others ?? []).map(({ name, ratio }) => ({ peer: name, ratio })),
      ],
    },
    ...(r.first ? [{ name: `${r.name}, first call`, bars: [{ peer: "onnxruntime", ratio: r.first.ratio }] }] : []),
  ]);
  const most = Math.max(2, ...rows.flatMap((r) => r.bars.map((b) => b.ratio)));
  const high = 2 ** Math.ceil(Math.log2(most * 1.2));
  const x = logarithmic(0.5, high, LEFT, RIGHT);
  const body: string[] = [];
  let y = TOP;
  for (const { name, bars } of rows) {
    body.push(text(LEFT - 8, y + (bars.length * BAR) / 2 + 4, name, { "text-anchor": "end" }));
    for (const { peer, ratio } of bars) {
      const [from, to] = [Math.min(x(1), x(ratio)), Math.max(x(1), x(ratio))];
      body.push(rectangle(from, y, Math.max(1, to - from), BAR - 2, { fill: colour(peer) }));
      body.push(text(to + 4, y + BAR - 3, `${ratio.toFixed(ratio < 10 ? 2 : 1)}×`, { "font-size": 11 }));
      y += BAR;
    }
    y += GAP;
  }
  const axis = powers(2, 0.5, high).flatMap((v) => [
    line(x(v), TOP - 8, x(v), y, v === 1 ? { stroke: "#1f2328" } : {}),
    text(x(v), y + 16, `${v}×`, { "text-anchor": "middle" }),
  ]);
  const legend = PEERS.flatMap((peer, i) => [
    rectangle(LEFT + 110 * i, 34, 11, 11, { fill: colour(peer) }),
    text(LEFT + 110 * i + 16, 44, peer),
  ]);
  return picture(780, y + 30, "Times as fast as the peers", [
    text(16, 22, `Times as fast as other WebGPU libraries, f32, on ${adapter}`, { "font-size": 14 }),
    ...legend,
    ...axis,
    ...body,
  ]);
}

function colour(peer: string): string {
  return COLOURS[PEERS.findIndex((p) => p === peer)] ?? COLOURS[6];
}
