import { describe, expect, it } from "vitest";
import { bindingsOf, f32Bits, specialize } from "../../src/gpu/wgsl.js";

const SOURCE = `alias T = f32; // storage
const TILE: u32 = 16u;
fn activate(x: f32) -> f32 { return x; }
fn wide(x: f32) -> f32 {
  return x;
}
@group(0) @binding(0) var<uniform> p: vec4u;
@group(0) @binding(2) var<storage, read_write> y: array<T>;
@group(0) @binding(1) var<storage, read> x: array<T>;
@compute @workgroup_size(TILE) fn main() { y[0] = T(activate(f32(x[0]))); }
`;

describe("specialize", () => {
  it("replaces an alias, a const and functions by name", () => {
    const text = specialize(SOURCE, {
      TILE: "8u",
      activate: "fn activate(x: f32) -> f32 { return max(x, 0); }",
      wide: "fn wide(x: f32) -> f32 {\n  return 2 * x;\n}",
    });
    expect(text).toContain("const TILE: u32 = 8u;");
    expect(text).toContain("return max(x, 0);");
    expect(text).toContain("return 2 * x;");
    expect(text).not.toContain("return x;");
    expect(text).not.toContain("enable f16");
  });

  it("enables f16 where it is used", () => {
    expect(specialize(SOURCE, { T: "f16" })).toMatch(/^enable f16;/);
  });

  it("returns the same string for the same request", () => {
    expect(specialize(SOURCE, { TILE: "4u" })).toBe(specialize(SOURCE, { TILE: "4u" }));
  });

  it("refuses a name that is not declared, and a function of another name", () => {
    expect(() => specialize(SOURCE, { TILES: 1 })).toThrow('"TILES"');
    expect(() => specialize(SOURCE, { activate: "fn other(x: f32) -> f32 { return x; }" })).toThrow(
      "must define fn activate",
    );
  });
});

it("bindingsOf lists the bindings in order", () => {
  expect(bindingsOf(SOURCE)).toEqual([
    { binding: 0, type: "uniform" },
    { binding: 1, type: "read-only-storage" },
    { binding: 2, type: "storage" },
  ]);
});

it("f32Bits gives IEEE bits", () => {
  expect(f32Bits(1)).toBe(0x3f800000);
  expect(f32Bits(-2)).toBe(0xc0000000);
});
