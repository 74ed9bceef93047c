// A small writer of SVG: elements as text, one style for all charts. No measuring of text, no scripts, no external fonts,
// so that a chart looks the same on GitHub, in a browser and in an editor's preview.

/** Colours told apart by most readers (Okabe and Ito). */
export const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#5b5b5b"] as const;

const INK = "#1f2328";
const PALE = "#d0d7de";

export type Attributes = Readonly<Record<string, string | number>>;

/** One element; `children` are elements, or text to be escaped. */
export function element(name: string, attributes: Attributes, children: readonly string[] = []): string {
  const words = Object.entries(attributes).map(([k, v]) => ` ${k}="${typeof v === "number" ? short(v) : escape(v)}"`);
  return children.length === 0
    ? `<${name}${words.join("")}/>`
    : `<${name}${words.join("")}>${children.join("")}</${name}>`;
}

export function text(x: number, y: number, words: string, attributes: Attributes = {}): string {
  return element("text", { x, y, fill: INK, ...attributes }, [escape(words)]);
}

export function line(x1: number, y1: number, x2: number, y2: number, attributes: Attributes = {}): string {
  return element("line", { x1, y1, x2, y2, stroke: PALE, "stroke-width": 1, ...attributes });
}

export function rectangle(x: number, y: number, width: number, height: number, attributes: Attributes = {}): string {
  return element("rect", { x, y, width, height, ...attributes });
}

/** A whole picture on a white ground, with a title that screen readers speak. */
export function picture(width: number, height: number, title: string, body: readonly string[]): string {
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  const style = { "font-family": "system-ui, sans-serif", "font-size": 12, role: "img" };
  return `${element("svg", { xmlns: "http://www.w3.org/2000/svg", ...size, ...style }, [
    `\n${element("title", {}, [escape(title)])}`,
    `\n${rectangle(0, 0, width, height, { fill: "#ffffff", rx: 6 })}`,
    ...body.map((b) => `\n${b}`),
    "\n",
  ])}\n`;
}

/** Places values on a logarithmic axis from `low` at `from` to `high` at `to`; beyond the ends they stay at them. */
export function logarithmic(low: number, high: number, from: number, to: number): (value: number) => number {
  return (value) => {
    const share = Math.log(Math.min(high, Math.max(low, value)) / low) / Math.log(high / low);
    return from + share * (to - from);
  };
}

/** Powers of `base` between two values. */
export function powers(base: number, low: number, high: number): number[] {
  const first = Math.ceil(Math.log(low) / Math.log(base) - 1e-9);
  const last = Math.floor(Math.log(high) / Math.log(base) + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => base ** (first + i));
}

function short(v: number): string {
  return String(Math.round(v * 100) / 100);
}

function escape(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
