// Prompt weighting: the text encoder's states by a weight for each token, one workgroup a chunk of a prompt.
//   scale: z · w        mean: z · w · mean(z) / mean(z · w) over the chunk        blend: (z - e) · w + e, e the empty prompt

alias V = f32; // storage of a unit: one element, or four
alias F = f32;
const WIDTH: u32 = 1u;
const MEAN: bool = false;
const BLEND: bool = false;

struct Params {
  tokens: u32, // of a chunk
  units: u32, // of a token
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> z: array<V>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> none: array<V>; // states of the empty prompt, one chunk
@group(0) @binding(4) var<storage, read_write> y: array<V>;

var<workgroup> before: array<f32, 64>;
var<workgroup> after: array<f32, 64>;

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }
fn total(v: F) -> f32 {
  if (WIDTH == 4u) {
    return dot(vec4f(v), vec4f(1f));
  }
  return vec4f(v).x;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
  let size = p.tokens * p.units;
  let first = group.x * size;
  var factor = 1f;
  if (MEAN) {
    var sum = 0f;
    var weighted = 0f;
    for (var i = thread; i < size; i += 64u) {
      let v = total(unpack(z[first + i]));
      sum += v;
      weighted += v * weights[group.x * p.tokens + i / p.units];
    }
    before[thread] = sum;
    after[thread] = weighted;
    workgroupBarrier();
    for (var n = 32u; n > 0u; n /= 2u) {
      if (thread < n) {
        before[thread] += before[thread + n];
        after[thread] += after[thread + n];
      }
      workgroupBarrier();
    }
    factor = before[0] / after[0];
  }
  for (var i = thread; i < size; i += 64u) {
    let w = weights[group.x * p.tokens + i / p.units];
    let v = unpack(z[first + i]);
    if (BLEND) {
      let e = unpack(none[i]);
      y[first + i] = pack((v - e) * w + e);
    } else {
      y[first + i] = pack(v * w * factor);
    }
  }
}
