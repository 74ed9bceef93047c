import { describe, expect, it } from "vitest";
import { unroll } from "../../src/gpu/unroll.js";

const squeeze = (text: string) => text.replace(/\s+/g, " ").trim();
const GPU = { kind: "gpu" } as const;

describe("unroll", () => {
  it("writes marked loops out, those within them too, and no others", () => {
    const text = `const SIDE: u32 = 4u;
const N: u32 = (SIDE + 1u) / 2u;
for (var i = 0u; i < N; i++) { // unroll
  for (var j = 0u; j < i; j++) { // unroll
    acc[i][j] += b; // of i {
  }
  if (x) { y(i, ii); }
}
for (var k = 0u; k < 2u; k++) { z(k); }`;
    expect(squeeze(unroll(text, GPU))).toBe(
      squeeze(`const SIDE: u32 = 4u; const N: u32 = (SIDE + 1u) / 2u;
{ if (x) { y(0u, ii); } } { { acc[1u][0u] += b; // of 1u {
} if (x) { y(1u, ii); } }
for (var k = 0u; k < 2u; k++) { z(k); }`),
    );
  });

  it("makes variables of marked arrays", () => {
    const text = `const N: u32 = 2u;
var acc: array<vec4<f32>, N * 2u>; // registers
for (var i = 0u; i < N; i++) { // unroll
  acc[i * N + 1u] = macc[i];
}`;
    expect(squeeze(unroll(text, GPU))).toBe(
      squeeze(`const N: u32 = 2u;
var acc_0: vec4<f32>; var acc_1: vec4<f32>; var acc_2: vec4<f32>; var acc_3: vec4<f32>;
{ acc_1 = macc[0u]; } { acc_3 = macc[1u]; }`),
    );
  });

  it("leaves them to software adapters as they are, and returns the same string for the same text", () => {
    const text = "for (var i = 0u; i < 2u; i++) { // unroll\n  f(i);\n}";
    expect(unroll(text, { kind: "cpu" })).toBe(text);
    expect(unroll(text, GPU)).toBe(unroll(`${text}`, GPU));
  });

  it("names a bound that is known only when it runs", () => {
    const text = "for (var i = 0u; i < p.rows; i++) { // unroll\n}";
    expect(() => unroll(text, GPU)).toThrow('"p.rows" is no bound');
  });
});
