// Attention for tensor cores. The idea: both products of attention-gpu.wgsl, q · kᵀ and weights · v, by the matrix units of a
// subgroup, 16 × 16 × 16 at a time on f16 with sums in f32. Four subgroups of 32 lanes take 16 queries each through all keys
// and share the tiles of k and v; two lanes own a query's softmax and half of its result each, which stays in registers.
// For f16 only. Written against Chromium's experimental feature, compiled by Dawn's validation and computed with the matrix
// units spelt out; not timed on hardware yet.
enable chromium_experimental_subgroup_matrix;
// Offsets depend on t / 32 alone, equal in all lanes of a subgroup, which the compiler cannot know.
diagnostic(off, chromium.subgroup_matrix_uniformity);

alias V = vec4<f16>; // storage of four values
const HEAD_DIM: u32 = 64u;
const BLOCKS: u32 = (HEAD_DIM + 15u) / 16u; // of 16 channels
const KEYS: u32 = 32u; // of a tile: a multiple of 16
const ROWS: u32 = 64u; // queries of a workgroup
const D: u32 = BLOCKS * 16u;
const TILE: u32 = max(KEYS * D, ROWS * 16u);
const MASKED: f32 = -3e38;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

// include lib/attention-params.wgsl

var<workgroup> tile: array<f16, TILE>; // 16 channels of q, [row][channel]; then k, then v, [key][channel]
var<workgroup> weights: array<f16, ROWS * KEYS>; // [row][key]
var<workgroup> sums: array<f32, ROWS * KEYS>; // scores [row][key]; then 16 channels of each subgroup's result, [row][channel]

// Four channels into the tile; zeros beyond the head's last.
fn stage(at: u32, c: u32, x: V) {
  let inside = select(vec4<f16>(), vec4<f16>(x), vec4<bool>(c < HEAD_DIM / 4u));
  for (var e = 0u; e < 4u; e++) {
    tile[at + e] = inside[e];
  }
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) t: u32) {
  let blocks = (p.rows + ROWS - 1u) / ROWS;
  let id = group.y * groups.x + group.x;
  let first = (id % blocks) * ROWS;
  let sequence = id / (blocks * p.heads);
  if (sequence >= p.sequences) {
    return;
  }
  let at = places(sequence, id / blocks % p.heads * (HEAD_DIM / 4u));
  let part = t / 32u; // this subgroup's 16 queries
  let row = first + t / 2u; // this lane's query …
  let half = t % 2u; // … and half of everything
  let visible = select(p.keys, min(p.keys, row + 1u), p.causal == 1u);

  var query: array<Left, BLOCKS>;
  for (var b = 0u; b < BLOCKS; b++) {
    workgroupBarrier();
    for (var e = t; e < ROWS * 4u; e += 128u) {
      let c = b * 4u + e % 4u;
      stage(e * 4u, c, q[at.q + min(first + e / 4u, p.rows - 1u) * p.q.w + min(c, HEAD_DIM / 4u - 1u)]);
    }
    workgroupBarrier();
    query[b] = subgroupMatrixLoad<Left>(&tile, part * 256u, false, 16u);
  }

  var sum: array<vec4f, BLOCKS * 2u>;
  var largest = MASKED;
  var total = 0f;
  let keys = select(p.keys, min(p.keys, first + ROWS), p.causal == 1u);
  for (var m = 0u; m < keys; m += KEYS) {
    workgroupBarrier();
    for (var e = t; e < KEYS * BLOCKS * 4u; e += 128u) {
      let c = e % (BLOCKS * 4u);
      stage(e * 4u, c, k[at.k + min(m + e / (BLOCKS * 4u), p.keys - 1u) * p.k.w + min(c, HEAD_DIM / 4u - 1u)]);
    }
    workgroupBarrier();
    for (var j = 0u; j < KEYS; j += 16u) {
      var score = Sum();
      for (var b = 0u; b < BLOCKS; b++) {
        let keys_b = subgroupMatrixLoad<Right>(&tile, j * D + b * 16u, true, D); // [channel][key]
        score = subgroupMatrixMultiplyAccumulate(query[b], keys_b, score);
      }
      subgroupMatrixStore(&sums, part * 16u * KEYS + j, score, false, KEYS);
    }
    workgroupBarrier();

    let mine = t / 2u * KEYS + half * (KEYS / 2u);
    var top = largest;
    for (var j = 0u; j < KEYS / 2u; j++) {
      let seen = m + half * (KEYS / 2u) + j < visible;
      let s = select(MASKED, sums[mine + j] * p.scale, seen);
      sums[mine + j] = s;
      top = max(top, s);
    }
    top = max(top, subgroupShuffleXor(top, 1u));
    let fade = exp2(largest - top);
    largest = top;
    total *= fade;
    for (var j = 0u; j < KEYS / 2u; j++) {
      let weight = f16(exp2(sums[mine + j] - top));
      weights[mine + j] = weight;
      total += f32(weight); // of this lane's keys, as they are multiplied
    }
    for (var e = t; e < KEYS * BLOCKS * 4u; e += 128u) {
      let c = e % (BLOCKS * 4u);
      stage(e * 4u, c, v[at.v + min(m + e / (BLOCKS * 4u), p.keys - 1u) * p.v.w + min(c, HEAD_DIM / 4u - 1u)]);
    }
    for (var b = 0u; b < BLOCKS; b++) {
      workgroupBarrier();
      var result = Sum();
      for (var j = 0u; j < KEYS; j += 16u) {
        let weights_j = subgroupMatrixLoad<Left>(&weights, part * 16u * KEYS + j, false, KEYS);
        let values_j = subgroupMatrixLoad<Right>(&tile, j * D + b * 16u, false, D);
        result = subgroupMatrixMultiplyAccumulate(weights_j, values_j, result);
      }
      subgroupMatrixStore(&sums, part * 256u, result, false, 16u);
      workgroupBarrier();
      let own = t / 2u * 16u + half * 8u;
      sum[b * 2u] = sum[b * 2u] * fade + vec4f(sums[own], sums[own + 1u], sums[own + 2u], sums[own + 3u]);
      sum[b * 2u + 1u] = sum[b * 2u + 1u] * fade + vec4f(sums[own + 4u], sums[own + 5u], sums[own + 6u], sums[own + 7u]);
    }
  }

  total += subgroupShuffleXor(total, 1u);
  if (row >= p.rows) {
    return;
  }
  for (var i = 0u; i < BLOCKS * 2u; i++) {
    let c = i / 2u * 4u + half * 2u + i % 2u;
    if (c < HEAD_DIM / 4u) {
      y[at.y + row * p.y.w + c] = V(sum[i] * (1.0 / total));
    }
  }
}
