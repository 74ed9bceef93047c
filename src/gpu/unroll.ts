// Loops of WGSL written out as text, and arrays as single variables. GPU drivers keep an array in registers only where every
// index is a constant, and NVIDIA's does not unroll WGSL's loops early enough for that: the same products ran three to four
// times as fast with their loops written out (H200). Shaders mark such loops, `for (var i = 0u; i < N; i++) { // unroll`, and such
// arrays, `var acc: array<Sum, N>; // registers`, and stand on their own as they are. Software adapters run them so: written
// out they would take seconds more to compile.

import type { Capabilities } from "./limits.js";

const LOOP = /for \(var (\w+) = 0u; \1 < ([^;]+); \1\+\+\) \{ \/\/ unroll\n/;
const ARRAY = /var (\w+): array<(.+), ([^,<>]+)>; \/\/ registers$/m;
const CONST = /^\s*const (\w+)(?:: u32)? = ([^;]+);/gm;

/** Results, so that the same text gives the same string object, which keys the pipeline cache. */
const known = new Map<string, string>();

/**
 * The text for an adapter: on GPUs with every marked loop and array written out. Bounds are constant expressions of whole
 * numbers, `+ - * / %`, parentheses and the module's `const`s.
 * @throws Error for a bound that is none
 */
export function unroll(text: string, { kind }: Pick<Capabilities, "kind">): string {
  if (kind === "cpu" || !LOOP.test(text)) return text;
  const before = known.get(text);
  if (before !== undefined) return before;
  const consts = new Map([...text.matchAll(CONST)].map(([, name, value]) => [name!, value!]));
  let result = text;
  for (let m = LOOP.exec(result); m; m = LOOP.exec(result)) {
    const [head, name, bound] = m as unknown as [string, string, string];
    const from = m.index + head.length;
    const to = closing(result, from);
    const body = result.slice(from, to);
    const copies = Array.from({ length: evaluate(bound, consts) }, (_, i) =>
      body.replace(new RegExp(`\\b${name}\\b`, "g"), `${i}u`),
    );
    result = `${result.slice(0, m.index)}${copies.map((copy) => `{\n${copy}}`).join(" ")}${result.slice(to + 1)}`;
  }
  for (let m = ARRAY.exec(result); m; m = ARRAY.exec(result)) {
    const [declaration, name, type, count] = m as unknown as [string, string, string, string];
    const each = Array.from({ length: evaluate(count, consts) }, (_, i) => `var ${name}_${i}: ${type};`);
    result = result
      .replaceAll(declaration, each.join(" "))
      .replace(
        new RegExp(`\\b${name}\\[([^\\[\\]]+)\\]`, "g"),
        (_, index: string) => `${name}_${evaluate(index, consts)}`,
      );
  }
  known.set(text, result);
  return result;
}

/** Where the block that is open at `from` ends. */
function closing(text: string, from: number): number {
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    if (text.startsWith("//", i)) i = text.indexOf("\n", i);
    else if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return i;
  }
  throw new Error("unroll: a loop marked for it does not end");
}

/** A constant expression's value. */
function evaluate(expression: string, consts: ReadonlyMap<string, string>, depth = 0): number {
  const tokens = expression.match(/\d+u?|\w+|[-+*/%()]|\S/g) ?? [];
  const wrong = () => new Error(`unroll: "${expression}" is no bound that is known when a shader is specialised`);
  let at = 0;
  const factor = (): number => {
    const token = tokens[at++] ?? "";
    if (token === "(") {
      const value = sum();
      if (tokens[at++] !== ")") throw wrong();
      return value;
    }
    if (/^\d+u?$/.test(token)) return Number.parseInt(token, 10);
    const known = depth < 8 ? consts.get(token) : undefined;
    if (known === undefined) throw wrong();
    return evaluate(known, consts, depth + 1);
  };
  const product = (): number => {
    let value = factor();
    for (let op = tokens[at]; op === "*" || op === "/" || op === "%"; op = tokens[at]) {
      at++;
      const right = factor();
      value = op === "*" ? value * right : op === "/" ? Math.floor(value / right) : value % right;
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    for (let op = tokens[at]; op === "+" || op === "-"; op = tokens[at]) {
      at++;
      value += op === "+" ? product() : -product();
    }
    return value;
  };
  const value = sum();
  if (at !== tokens.length) throw wrong();
  return value;
}
