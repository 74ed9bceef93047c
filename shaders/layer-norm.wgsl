// LayerNorm, one thread a row: y = (x - mean) / sqrt(variance + eps) · weight + bias (+ a positional encoding).
// Values are shifted by the row's first: a sum of squares about zero would lose small variances beside large means.

alias T = f32; // storage of x and y: f32 | f16

struct Params {
  rows: u32,
  channels: u32,
  add_rows: u32, // rows of x that share one entry of `add`; 0: nothing is added
  add_count: u32, // entries of `add`
  eps: f32,
  first_row: u32, // number of the first row here
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> add: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<T>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * 64u;
  if (row >= p.rows) {
    return;
  }
  let at = row * p.channels;
  let shift = f32(x[at]);
  var sum = 0f;
  var squares = 0f;
  for (var c = 0u; c < p.channels; c++) {
    let d = f32(x[at + c]) - shift;
    sum += d;
    squares += d * d;
  }
  let n = f32(p.channels);
  let mean = sum / n;
  let scale = inverseSqrt(max(squares / n - mean * mean, 0f) + p.eps);
  var entry = 0u;
  if (p.add_rows > 0u) {
    entry = (((p.first_row + row) / p.add_rows) % p.add_count) * p.channels;
  }
  for (var c = 0u; c < p.channels; c++) {
    var v = (f32(x[at + c]) - shift - mean) * scale * weight[c] + bias[c];
    if (p.add_rows > 0u) {
      v += add[entry + c];
    }
    y[at + c] = T(v);
  }
}
