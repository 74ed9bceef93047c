// GroupNorm, third pass: y = (x - mean) / sqrt(variance + eps) · weight + bias, then SiLU where asked. Reads two sources
// as if concatenated, so that the UNet's skips are never copied together.

alias T = f32; // storage of x, x2 and y: f32 | f16

struct Params {
  rows: u32, // rows that are normalised together
  channels: u32,
  first: u32, // channels of x; the rest come from x2
  groups: u32,
  first_set: u32, // of the statistics that this dispatch reads
  silu: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> x2: array<T>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>; // [sets, groups]: mean, 1/deviation
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<T>;

const ROWS: u32 = 8u; // rows a thread normalises: scale and shift of its channel are computed once

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let unit = id.z;
  if (c >= p.channels) {
    return;
  }
  let s = stats[(p.first_set + unit) * p.groups + c / (p.channels / p.groups)];
  let scale = s.y * weight[c];
  let shift = bias[c] - s.x * scale;
  let begin = id.y * ROWS;
  let end = min(begin + ROWS, p.rows);
  for (var r = begin; r < end; r++) {
    let row = unit * p.rows + r;
    var v = 0f;
    if (c < p.first) {
      v = f32(x[row * p.first + c]);
    } else {
      v = f32(x2[row * (p.channels - p.first) + c - p.first]);
    }
    v = v * scale + shift;
    if (p.silu == 1u) {
      v = v / (1f + exp(-v));
    }
    y[row * p.channels + c] = T(v);
  }
}
