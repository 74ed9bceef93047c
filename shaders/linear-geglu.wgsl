// GEGLU: y = (x · Va + a) · gelu(x · Vb + b) (Shazeer 2020). As linear, but a thread computes 4 columns of each half, whose
// weights lie side by side, so that the product of the two halves needs no memory between.

alias T = f32; // storage of x and y: f32 | f16
alias W4 = vec4<f32>; // see linear.wgsl

struct Params {
  rows: u32,
  inputs: u32,
  columns: u32, // of y: half the outputs
  column_blocks: u32, // of 4, in y
  flags: u32, // 1: bias
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> w: array<W4>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;

const ROWS: u32 = 4u;

fn widen(v: W4) -> vec4<f32> { return vec4<f32>(v); }
fn activate(v: f32, kind: u32) -> f32 { return v; }

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let block = id.x;
  let row = id.y * ROWS;
  if (block >= p.column_blocks || row >= p.rows) {
    return;
  }
  var value: array<vec4f, ROWS>;
  var gate: array<vec4f, ROWS>;
  var at: array<u32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    at[r] = min(row + r, p.rows - 1u) * p.inputs;
  }
  for (var k = 0u; k < p.inputs; k++) {
    let wa = widen(w[2u * (k * p.column_blocks + block)]);
    let wb = widen(w[2u * (k * p.column_blocks + block) + 1u]);
    for (var r = 0u; r < ROWS; r++) {
      let v = f32(x[at[r] + k]);
      value[r] += v * wa;
      gate[r] += v * wb;
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    if (row + r >= p.rows) {
      return;
    }
    for (var i = 0u; i < 4u; i++) {
      let n = 4u * block + i;
      if (n < p.columns) {
        var a = value[r][i];
        var b = gate[r][i];
        if ((p.flags & 1u) != 0u) {
          a += bias[n];
          b += bias[p.columns + n];
        }
        y[(row + r) * p.columns + n] = T(a * activate(b, 2u));
      }
    }
  }
}
