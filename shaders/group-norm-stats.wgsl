// GroupNorm, second pass: a workgroup joins the channels and slices of one group into its mean and variance (Chan, Golub
// and LeVeque), and turns them into a factor and an offset per channel: y = x · factor + offset.

const WIDTH: u32 = 1u; // channels of a unit of `partial` and `affine`
const LANES: u32 = 64u; // a power of two

struct Params {
  rows: u32,
  channels: u32,
  slices: u32,
  slice_rows: u32,
  groups: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>; // [sets, slices, channels / WIDTH, (mean, squares), WIDTH]
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> affine: array<f32>; // [sets, channels / WIDTH, (factor, offset), WIDTH]

var<workgroup> joined: array<vec3f, LANES>; // count, mean, squared deviations

fn join(a: vec3f, b: vec3f) -> vec3f {
  let n = a.x + b.x;
  if (n == 0f) {
    return a;
  }
  let off = b.y - a.y;
  return vec3f(n, a.y + off * (b.x / n), a.z + b.z + off * off * (a.x * b.x / n));
}

// Where the first value of channel c lies in a row of pairs.
fn place(row: u32, c: u32) -> u32 {
  return 2u * (row * p.channels + c / WIDTH * WIDTH) + c % WIDTH;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = id.x;
  let member = id.y;
  let width = p.channels / p.groups;
  var total = vec3f();
  for (var i = lane; i < p.slices * width; i += LANES) {
    let slice = i / width;
    let at = place(member * p.slices + slice, group * width + i % width);
    total = join(total, vec3f(f32(min(p.slice_rows, p.rows - slice * p.slice_rows)), partial[at], partial[at + WIDTH]));
  }
  joined[lane] = total;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      joined[lane] = join(joined[lane], joined[lane + half]);
    }
  }
  workgroupBarrier();
  let all = joined[0];
  let deviation = inverseSqrt(max(all.z, 0f) / all.x + p.eps);
  for (var i = lane; i < width; i += LANES) {
    let c = group * width + i;
    let at = place(member, c);
    let factor = deviation * weight[c];
    affine[at] = factor;
    affine[at + WIDTH] = bias[c] - all.y * factor;
  }
}
