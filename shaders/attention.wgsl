// Attention, the plain version: one thread computes one query row of one head in two passes over the keys.
// y[n] = sum over m of softmax_m(scale · q[n]·k[m]) · v[m].  The reference that every faster version is measured against.
//
// Sequences may lie strided in memory: item m of sequence (outer, inner) begins at x + outer·y + inner·z + m·w of its
// operand's vec4u. Spatial attention has inner = 1; attention over frames has a sequence for each clip (outer) and
// position (inner), whose items are a frame apart.

alias T = f32; // storage of q, k, v and y: f32 | f16
const HEAD_DIM: u32 = 64u;

struct Params {
  rows: u32, // queries of a sequence
  keys: u32, // keys of a sequence
  heads: u32,
  sequences: u32, // outer · inner
  inner: u32,
  share: u32, // outer sequences that read the same keys
  phase: u32, // how many of them came before the first one here
  causal: u32, // 1: query n sees the keys 0 … n
  scale: f32,
  q: vec4u, // in elements: offset, stride of outer, of inner, of an item
  k: vec4u,
  v: vec4u,
  y: vec4u,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<T>;
@group(0) @binding(2) var<storage, read> k: array<T>;
@group(0) @binding(3) var<storage, read> v: array<T>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;

fn score(at_q: u32, at_k: u32) -> f32 {
  var sum = 0f;
  for (var c = 0u; c < HEAD_DIM; c++) {
    sum += f32(q[at_q + c]) * f32(k[at_k + c]);
  }
  return sum * p.scale;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let id = (group.y * groups.x + group.x) * 64u + lane;
  let head = id % p.heads;
  let n = (id / p.heads) % p.rows;
  let sequence = id / (p.heads * p.rows);
  if (sequence >= p.sequences) {
    return;
  }
  let inner = sequence % p.inner;
  let outer = sequence / p.inner;
  let outer_k = (outer + p.phase) / p.share;
  let at_q = p.q.x + outer * p.q.y + inner * p.q.z + n * p.q.w + head * HEAD_DIM;
  let at_k = p.k.x + outer_k * p.k.y + inner * p.k.z + head * HEAD_DIM;
  let at_v = p.v.x + outer_k * p.v.y + inner * p.v.z + head * HEAD_DIM;
  let at_y = p.y.x + outer * p.y.y + inner * p.y.z + n * p.y.w + head * HEAD_DIM;
  let keys = select(p.keys, min(p.keys, n + 1u), p.causal == 1u);

  // exp(score − largest) is at most 1: no score overflows.
  var largest = -3.4e38f;
  for (var m = 0u; m < keys; m++) {
    largest = max(largest, score(at_q, at_k + m * p.k.w));
  }
  var total = 0f;
  var sum: array<f32, HEAD_DIM>;
  for (var m = 0u; m < keys; m++) {
    let weight = exp(score(at_q, at_k + m * p.k.w) - largest);
    total += weight;
    for (var c = 0u; c < HEAD_DIM; c++) {
      sum[c] += weight * f32(v[at_v + m * p.v.w + c]);
    }
  }
  for (var c = 0u; c < HEAD_DIM; c++) {
    y[at_y + c] = T(sum[c] / total);
  }
}
