// One pass over the keys (online softmax; Milakov and Gimelshein 2018). The one idea: softmax needs the largest score
// before it can take a power, but what has been summed up so far can be corrected when a larger one appears, by the factor
// exp(old − new). So each key is read once, its score is computed once, and nothing is stored: this is what makes flash
// attention possible. Heads lie side by side in a row.

const HEAD_DIM: u32 = 64u;

struct Params {
  rows: u32,
  keys: u32,
  heads: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<f32>; // [rows, heads · HEAD_DIM]
@group(0) @binding(2) var<storage, read> k: array<f32>; // [keys, heads · HEAD_DIM]
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.rows * p.heads) {
    return;
  }
  let width = p.heads * HEAD_DIM;
  let at = (id.x / p.heads) * width + (id.x % p.heads) * HEAD_DIM;
  let head = (id.x % p.heads) * HEAD_DIM;
  var largest = -3.4e38f;
  var total = 0f;
  var sum: array<f32, HEAD_DIM>;
  for (var m = 0u; m < p.keys; m++) {
    var score = 0f;
    for (var c = 0u; c < HEAD_DIM; c++) {
      score += q[at + c] * k[m * width + head + c];
    }
    score *= p.scale;
    let top = max(largest, score);
    let fade = exp(largest - top); // what is there was relative to the old top
    let weight = exp(score - top);
    largest = top;
    total = total * fade + weight;
    for (var c = 0u; c < HEAD_DIM; c++) {
      sum[c] = sum[c] * fade + weight * v[m * width + head + c];
    }
  }
  for (var c = 0u; c < HEAD_DIM; c++) {
    y[at + c] = sum[c] / total;
  }
}
