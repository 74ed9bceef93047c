// Linear layer: y = activation(x · Wᵀ + bias) + residual. A thread computes 8 rows of 4 columns, so that each weight it
// loads serves 8 rows and each input 4 columns. Weights are packed as [inputs][columns / 4] vec4.

alias T = f32; // storage of x, residual and y: f32 | f16
alias W4 = vec4<f32>; // storage of weights: vec4<f32> | vec4<f16> | vec2<u32> (f16 packed, for devices without f16)

struct Params {
  rows: u32,
  inputs: u32, // of x
  inputs2: u32, // of x2, whose channels follow
  columns: u32,
  column_blocks: u32, // of 4
  activation: u32, // see lib/activations.wgsl
  flags: u32, // 1: bias, 2: residual, 4: row bias
  bias_rows: u32, // rows that share one row bias
  first_row: u32, // number of the first row here
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> x2: array<T>;
@group(0) @binding(3) var<storage, read> w: array<W4>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> row_bias: array<T>;
@group(0) @binding(6) var<storage, read> residual: array<T>;
@group(0) @binding(7) var<storage, read_write> y: array<T>;

const ROWS: u32 = 8u;

fn widen(v: W4) -> vec4<f32> { return vec4<f32>(v); }
fn activate(v: f32, kind: u32) -> f32 { return v; }

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let block = id.x;
  let row = id.y * ROWS;
  if (block >= p.column_blocks || row >= p.rows) {
    return;
  }
  var sum: array<vec4f, ROWS>;
  var at: array<u32, ROWS>; // rows beyond the last repeat it
  for (var r = 0u; r < ROWS; r++) {
    at[r] = min(row + r, p.rows - 1u);
  }
  for (var k = 0u; k < p.inputs; k++) {
    let v = widen(w[k * p.column_blocks + block]);
    for (var r = 0u; r < ROWS; r++) {
      sum[r] += f32(x[at[r] * p.inputs + k]) * v;
    }
  }
  for (var k = 0u; k < p.inputs2; k++) {
    let v = widen(w[(p.inputs + k) * p.column_blocks + block]);
    for (var r = 0u; r < ROWS; r++) {
      sum[r] += f32(x2[at[r] * p.inputs2 + k]) * v;
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    if (row + r >= p.rows) {
      return;
    }
    for (var i = 0u; i < 4u; i++) {
      let n = 4u * block + i;
      if (n < p.columns) {
        var v = sum[r][i];
        if ((p.flags & 1u) != 0u) {
          v += bias[n];
        }
        if ((p.flags & 4u) != 0u) {
          v += f32(row_bias[(p.first_row + row + r) / p.bias_rows * p.columns + n]);
        }
        v = activate(v, p.activation);
        if ((p.flags & 2u) != 0u) {
          v += f32(residual[(row + r) * p.columns + n]);
        }
        y[(row + r) * p.columns + n] = T(v);
      }
    }
  }
}
