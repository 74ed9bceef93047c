// Sequences that attend, strided in memory: item m of sequence (outer, inner) begins at x + outer·y + inner·z + m·w of its
// operand's vec4u, counted in the module's units of storage. Spatial attention has inner = 1; attention over frames has a
// sequence for each clip (outer) and position (inner), whose items are a frame apart.

struct Params {
  rows: u32, // queries of a sequence
  keys: u32, // keys of a sequence
  heads: u32,
  sequences: u32, // outer · inner
  inner: u32,
  share: u32, // outer sequences that read the same keys
  phase: u32, // how many of them came before the first one here
  causal: u32, // 1: query n sees the keys 0 … n
  scale: f32, // in the fast versions times log2(e): they take powers of 2
  vectors: u32, // units of a head
  q: vec4u, // in units: offset, stride of outer, of inner, of an item
  k: vec4u,
  v: vec4u,
  y: vec4u,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<V>;
@group(0) @binding(2) var<storage, read> k: array<V>;
@group(0) @binding(3) var<storage, read> v: array<V>;
@group(0) @binding(4) var<storage, read_write> y: array<V>;

// Where a sequence's first item begins in each operand.
struct Places {
  q: u32,
  k: u32,
  v: u32,
  y: u32,
}

// Of head's first unit in an item.
fn places(sequence: u32, head: u32) -> Places {
  let inner = sequence % p.inner;
  let outer = sequence / p.inner;
  let outer_k = (outer + p.phase) / p.share;
  return Places(
    p.q.x + outer * p.q.y + inner * p.q.z + head,
    p.k.x + outer_k * p.k.y + inner * p.k.z + head,
    p.v.x + outer_k * p.v.y + inner * p.v.z + head,
    p.y.x + outer * p.y.y + inner * p.y.z + head,
  );
}
