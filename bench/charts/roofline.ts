// The roofline (Williams, Waterman and Patterson 2009): what a layer reaches, in GFLOPS, against its arithmetic intensity,
// FLOPs for each byte that it must move. The roof is what the adapter can do: its memory's slope, then its arithmetic's
// ceiling. Points far below the roof have something to gain.

import type { Roofline } from "../roofline.js";
import { COLOURS, element, line, logarithmic, picture, powers, text } from "./svg.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [70, 700, 70, 430];

export function rooflineChart({ adapter, dtype, network, peak, points }: Roofline): string {
  // What takes less than a ten-thousandth of the time says nothing but how coarse the clock is.
  const least = points.reduce((n, p) => n + p.ms, 0) / 1e4;
  const seen = points.filter((p) => p.flops > 0 && p.bytes > 0 && p.ms > least);
  const intensity = (p: (typeof seen)[number]) => p.flops / p.bytes;
  const reached = (p: (typeof seen)[number]) => p.flops / p.ms / 1e6;
  const [x0, x1] = decades(seen.map(intensity));
  const [y0, y1] = decades([...seen.map(reached), peak.gflops]);
  const x = logarithmic(x0, x1, LEFT, RIGHT);
  const y = logarithmic(y0, y1, BOTTOM, TOP);
  const ridge = peak.gflops / peak.gbps;
  const start = Math.max(x0, y0 / peak.gbps);
  const roof = [
    [start, start * peak.gbps],
    [Math.max(start, Math.min(ridge, x1)), Math.min(peak.gflops, x1 * peak.gbps)],
    [x1, Math.min(peak.gflops, x1 * peak.gbps)],
  ].map(([a, b]) => `${x(a!).toFixed(1)},${y(b!).toFixed(1)}`);
  const kinds = [...new Set(seen.map((p) => p.kind))];
  const total = seen.reduce((n, p) => n + p.ms, 0);
  const grid = [
    ...powers(10, x0, x1).flatMap((v) => [
      line(x(v), TOP, x(v), BOTTOM),
      text(x(v), BOTTOM + 16, String(v), { "text-anchor": "middle" }),
    ]),
    ...powers(10, y0, y1).flatMap((v) => [
      line(LEFT, y(v), RIGHT, y(v)),
      text(LEFT - 6, y(v) + 4, String(v), { "text-anchor": "end" }),
    ]),
  ];
  const dots = seen.map((p) =>
    element("circle", {
      cx: x(intensity(p)),
      cy: y(reached(p)),
      r: 2 + 28 * Math.sqrt(p.ms / total),
      fill: COLOURS[kinds.indexOf(p.kind) % COLOURS.length]!,
      "fill-opacity": 0.55,
    }),
  );
  let at = LEFT;
  const legend = kinds.flatMap((kind, i) => {
    const x = at;
    at += 26 + 6.5 * kind.length;
    return [element("circle", { cx: x, cy: 44, r: 5, fill: COLOURS[i % COLOURS.length]! }), text(x + 9, 48, kind)];
  });
  return picture(760, 490, "Roofline", [
    text(16, 22, `${network}, ${dtype}, on ${adapter}: a dot a layer, its area the time it takes`, { "font-size": 14 }),
    ...legend,
    ...grid,
    ...dots,
    element("polyline", { points: roof.join(" "), fill: "none", stroke: "#1f2328", "stroke-width": 2 }),
    text(RIGHT, y(peak.gflops) - 6, `${peak.gflops.toFixed(0)} GFLOPS`, { "text-anchor": "end" }),
    text(x(start) + 6, y(start * peak.gbps) - 8, `${peak.gbps.toFixed(0)} GB/s`),
    text((LEFT + RIGHT) / 2, BOTTOM + 36, "FLOP a byte", { "text-anchor": "middle" }),
    text(18, (TOP + BOTTOM) / 2, "GFLOPS", {
      transform: `rotate(-90 18 ${(TOP + BOTTOM) / 2})`,
      "text-anchor": "middle",
    }),
  ]);
}

/** The powers of ten around values. */
function decades(values: readonly number[]): [number, number] {
  const logs = values.map(Math.log10);
  return [10 ** Math.floor(Math.min(...logs)), 10 ** Math.ceil(Math.max(...logs) + 1e-9)];
}
