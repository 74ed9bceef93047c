import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CHARTS, keep, withKept } from "../../bench/chart.js";
import { peersChart } from "../../bench/charts/peers.js";
import { rooflineChart } from "../../bench/charts/roofline.js";
import { logarithmic, picture, powers, text } from "../../bench/charts/svg.js";
import { torchTimes } from "../../bench/peers/torch.js";
import { rooflineTable, type Roofline } from "../../bench/roofline.js";

const roofline: Roofline = {
  adapter: "an adapter",
  dtype: "f32",
  network: "unet-narrow",
  peak: { gflops: 100, gbps: 10 },
  points: [
    { label: "conv2d a", kind: "conv2d", ms: 2, flops: 1e8, bytes: 1e6 },
    { label: "conv2d b", kind: "conv2d", ms: 2, flops: 1e8, bytes: 1e6 },
    { label: "layerNorm a", kind: "layerNorm", ms: 1, flops: 1e6, bytes: 5e6 },
  ],
};

describe("charts", () => {
  it("escape words and round numbers", () => {
    expect(text(1.23456, 2, 'a < b & "c"')).toBe(
      '<text x="1.23" y="2" fill="#1f2328">a &lt; b &amp; &quot;c&quot;</text>',
    );
    expect(picture(10, 20, "t", ["<g/>"])).toMatch(
      /^<svg xmlns="[^"]+" width="10" height="20" .*<title>t<\/title>\n.*<g\/>\n<\/svg>\n$/s,
    );
  });

  it("place values on logarithmic axes, and keep them inside", () => {
    const x = logarithmic(1, 100, 0, 200);
    expect([0.1, 1, 10, 100, 1e9].map(x)).toEqual([0, 0, 100, 200, 200]);
    expect(powers(2, 0.5, 9)).toEqual([0.5, 1, 2, 4, 8]);
  });

  it("draw a bar for each peer", () => {
    const svg = peersChart(
      [
        {
          name: "matmul-512",
          ms: 1,
          peerMs: 2.5,
          ratio: 2.5,
          peerWholeMs: 3,
          others: [{ name: "tfjs", ms: 4, ratio: 4 }],
        },
        { name: "unet-narrow", ms: 1, peerMs: 6, ratio: 6, peerWholeMs: 6, first: { ms: 2, peerMs: 10, ratio: 5 } },
      ],
      "an adapter",
    );
    for (const words of ["matmul-512", "2.50×", "4.00×", "unet-narrow, first call", "5.00×", "on an adapter"])
      expect(svg).toContain(words);
  });

  it("draw a dot for each layer below a roof", () => {
    const svg = rooflineChart(roofline);
    expect(svg.match(/<circle /g)).toHaveLength(3 + 2); // and two in the legend
    expect(svg).toContain("100 GFLOPS");
    expect(svg).toContain("<polyline");
  });

  it("tabulate what kinds of layers reach of the roof", () => {
    const [, conv, norm] = rooflineTable(roofline);
    expect(conv).toMatch(/^conv2d +4\.0 +80 % +50\.0 +0\.50 +100\.0 +50 %$/);
    expect(norm).toMatch(/^layerNorm +1\.0 +20 % +1\.0 +5\.00 +0\.2 +50 %$/);
  });

  it("keep the results of cases that were not run again, of the same adapter", async () => {
    const folder = await mkdtemp(join(tmpdir(), "kineograph-chart-"));
    const result = (name: string, ms: number) => ({ name, ms, peerMs: 2, ratio: 2 / ms, peerWholeMs: 3 });
    try {
      keep(folder, "peers", { adapter: "one", results: [result("a", 1), result("b", 1)] });
      const names = ["b", "a", "c"];
      expect(
        withKept(folder, { adapter: "one", results: [result("a", 5)] }, names).results.map((r) => [r.name, r.ms]),
      ).toEqual([
        ["b", 1],
        ["a", 5],
      ]);
      expect(withKept(folder, { adapter: "two", results: [result("a", 5)] }, names).results).toHaveLength(1);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("leave out PyTorch, and say so, where no Python has it", async () => {
    const said: string[] = [];
    const say = (message: string) => said.push(message);
    expect(await torchTimes(["matmul-512"], undefined, say)).toEqual({});
    expect(await torchTimes(["matmul-512"], "/no/such/python", say)).toEqual({});
    expect(said).toEqual([
      "PyTorch is left out: KINEOGRAPH_PYTHON names no Python that has torch",
      expect.stringMatching(/^PyTorch is left out: \/no\/such\/python: .*ENOENT/),
    ]);
  });

  it.each(Object.keys(CHARTS))("in docs/performance are drawn from the measurements beside them: %s", (name) => {
    const json = `docs/performance/${name}.json`;
    expect(existsSync(json)).toBe(true);
    expect(readFileSync(`docs/performance/${name}.svg`, "utf8")).toBe(CHARTS[name]!(readFileSync(json, "utf8")));
  });
});
