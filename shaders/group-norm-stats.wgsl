// GroupNorm, second pass: joins the channels and slices of a group into its mean and 1/sqrt(variance + eps), by
// Chan, Golub and LeVeque's formula for combining means and squared deviations.

struct Params {
  rows: u32,
  channels: u32,
  slices: u32,
  slice_rows: u32,
  groups: u32,
  sets: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec2f>; // [sets, slices, channels]
@group(0) @binding(2) var<storage, read_write> stats: array<vec2f>; // [sets, groups]: mean, 1/deviation

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.groups * p.sets) {
    return;
  }
  let unit = id.x / p.groups;
  let group = id.x % p.groups;
  let width = p.channels / p.groups;
  var n = 0f;
  var mean = 0f;
  var m2 = 0f;
  for (var s = 0u; s < p.slices; s++) {
    let count = f32(min(p.slice_rows, p.rows - s * p.slice_rows));
    let at = (unit * p.slices + s) * p.channels + group * width;
    for (var c = 0u; c < width; c++) {
      let part = partial[at + c];
      let total = n + count;
      let d = part.x - mean;
      mean += d * (count / total);
      m2 += part.y + d * d * (n * count / total);
      n = total;
    }
  }
  stats[id.x] = vec2f(mean, inverseSqrt(max(m2, 0f) / n + p.eps));
}
