// GroupNorm, the plain version: one thread per group, which reads its values three times.
// y = (x - mean) / sqrt(variance + eps) · weight + bias over the rows of a set and the channels of a group.
// The reference that the two-pass versions (group-norm-cpu-*, group-norm-gpu-*) are measured against.

alias T = f32; // storage of x, x2 and y: f32 | f16

struct Params {
  rows: u32, // rows (frame, y, x) that are normalised together: a set
  channels: u32, // of both sources together
  first: u32, // channels of x; the rest come from x2
  groups: u32,
  sets: u32,
  silu: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> x2: array<T>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<T>;

fn value(row: u32, c: u32) -> f32 {
  if (c < p.first) {
    return f32(x[row * p.first + c]);
  }
  return f32(x2[row * (p.channels - p.first) + c - p.first]);
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.groups * p.sets) {
    return;
  }
  let width = p.channels / p.groups;
  let first = (id.x % p.groups) * width;
  let begin = (id.x / p.groups) * p.rows;
  let n = f32(width * p.rows);
  let shift = value(begin, first); // sums stay small beside a large mean
  var mean = 0f;
  for (var r = begin; r < begin + p.rows; r++) {
    var sum = 0f;
    for (var c = first; c < first + width; c++) {
      sum += value(r, c) - shift;
    }
    mean += sum / n;
  }
  mean += shift;
  var variance = 0f;
  for (var r = begin; r < begin + p.rows; r++) {
    var sum = 0f;
    for (var c = first; c < first + width; c++) {
      let d = value(r, c) - mean;
      sum += d * d;
    }
    variance += sum / n;
  }
  let scale = inverseSqrt(variance + p.eps);
  for (var r = begin; r < begin + p.rows; r++) {
    for (var c = first; c < first + width; c++) {
      var v = (value(r, c) - mean) * scale * weight[c] + bias[c];
      if (p.silu == 1u) {
        v = v / (1f + exp(-v));
      }
      y[r * p.channels + c] = T(v);
    }
  }
}
