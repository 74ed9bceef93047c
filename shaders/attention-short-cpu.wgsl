// Attention of short sequences (the frames of a clip) for software adapters. The one idea: a lane takes ROWS queries of
// one sequence and head with all their scores in private memory, so that each value it loads serves many products; there
// is nothing to share between lanes. Any head size: channels come by in fours.

alias V = vec4<f32>; // storage of four values: vec4<f32> | vec4<f16> | vec2<u32> holding f16
alias F = vec4<f32>;
const KEYS: u32 = 16u; // of every sequence
const ROWS: u32 = 16u; // queries of a lane
const LANES: u32 = 8u; // of a workgroup
const MASKED: f32 = -3e38;

struct Params { // as in attention.wgsl
  rows: u32,
  keys: u32,
  heads: u32,
  sequences: u32,
  inner: u32,
  share: u32,
  phase: u32,
  causal: u32,
  scale: f32, // times log2(e)
  vectors: u32, // of four channels in a head
  q: vec4u, // in fours
  k: vec4u,
  v: vec4u,
  y: vec4u,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<V>;
@group(0) @binding(2) var<storage, read> k: array<V>;
@group(0) @binding(3) var<storage, read> v: array<V>;
@group(0) @binding(4) var<storage, read_write> y: array<V>;

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let blocks = (p.rows + ROWS - 1u) / ROWS;
  let id = group.y * groups.x + group.x;
  let first = (id % blocks) * ROWS;
  let item = (id / blocks) * LANES + lane; // sequence and head
  let sequence = min(item / p.heads, p.sequences - 1u);
  let head = (item % p.heads) * p.vectors;
  let inner = sequence % p.inner;
  let outer = sequence / p.inner;
  let outer_k = (outer + p.phase) / p.share;
  let at_q = p.q.x + outer * p.q.y + inner * p.q.z + head;
  let at_k = p.k.x + outer_k * p.k.y + inner * p.k.z + head;
  let at_v = p.v.x + outer_k * p.v.y + inner * p.v.z + head;
  let at_y = p.y.x + outer * p.y.y + inner * p.y.z + head;

  var s: array<array<f32, KEYS>, ROWS>;
  for (var c = 0u; c < p.vectors; c++) {
    var key: array<vec4f, KEYS>;
    for (var j = 0u; j < KEYS; j++) {
      key[j] = unpack(k[at_k + j * p.k.w + c]);
    }
    for (var i = 0u; i < ROWS; i++) {
      let x = unpack(q[at_q + min(first + i, p.rows - 1u) * p.q.w + c]) * p.scale;
      for (var j = 0u; j < KEYS; j++) {
        s[i][j] = fma(x.w, key[j].w, fma(x.z, key[j].z, fma(x.y, key[j].y, fma(x.x, key[j].x, s[i][j]))));
      }
    }
  }

  for (var i = 0u; i < min(ROWS, p.rows); i++) { // a bound unknown to the compiler: unrolled it would compile for seconds
    let visible = select(KEYS, first + i + 1u, p.causal == 1u);
    var top = MASKED;
    for (var j = 0u; j < KEYS; j++) {
      s[i][j] = select(MASKED, s[i][j], j < visible);
      top = max(top, s[i][j]);
    }
    var total = 0f;
    for (var j = 0u; j < KEYS; j++) {
      s[i][j] = exp2(s[i][j] - top);
      total += s[i][j];
    }
    for (var j = 0u; j < KEYS; j++) {
      s[i][j] *= 1.0 / total;
    }
  }

  for (var c = 0u; c < p.vectors; c++) {
    var value: array<vec4f, KEYS>;
    for (var j = 0u; j < KEYS; j++) {
      value[j] = unpack(v[at_v + j * p.v.w + c]);
    }
    for (var i = 0u; i < ROWS; i++) {
      var sum = vec4f();
      for (var j = 0u; j < KEYS; j++) {
        sum = fma(vec4f(s[i][j]), value[j], sum);
      }
      if (first + i < p.rows && item < p.sequences * p.heads) {
        y[at_y + (first + i) * p.y.w + c] = pack(sum);
      }
    }
  }
}
