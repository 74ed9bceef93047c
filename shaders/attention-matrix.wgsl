// Attention for tensor cores (flash attention). The idea: both products of attention-gpu.wgsl, q · kᵀ and weights · v, by the
// matrix units of a subgroup, 16 × 16 × 16 at a time on f16 with sums in f32. A subgroup takes 16 queries through all keys,
// and keeps them and its result in registers; subgroups share tiles of k and v. Scores and weights pass through workgroup
// memory, where two lanes own a query's softmax. Weights are relative to a reference that follows the largest score only
// where it is left behind by a factor of 2^SLACK, so that the result hardly ever leaves the registers to be rescaled.
// For f16 only. On an H200 3.3 times as fast as attention-gpu.wgsl.
enable chromium_experimental_subgroup_matrix;
// What depends on t / 32 alone is equal in all lanes of a subgroup, which the compiler cannot know.
diagnostic(off, chromium.subgroup_matrix_uniformity);
diagnostic(off, subgroup_uniformity);

alias V = vec4<f16>; // storage of four values
const HEAD_DIM: u32 = 64u;
const SUBGROUPS: u32 = 8u; // of a workgroup, with 32 lanes and 16 queries each
const KEYS: u32 = 32u; // of a tile: a multiple of 16
const C: u32 = HEAD_DIM / 4u;
const BLOCKS: u32 = (HEAD_DIM + 15u) / 16u; // of 16 channels
const THREADS: u32 = SUBGROUPS * 32u;
const STAGED: u32 = (KEYS * C + THREADS - 1u) / THREADS; // vectors of k, and of v, that a thread stages
// Vectors from row to row: two more than a row has, so that the rows of a matrix lie in different banks of memory.
const PITCH: u32 = BLOCKS * 4u + 2u; // of the tiles
const ROW: u32 = KEYS / 4u + 2u; // of scores and weights
const SLACK: f32 = 8.0;
const MASKED: f32 = -3e38;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

// include lib/attention-params.wgsl

// Rows of the tiles are keys; what lies beyond HEAD_DIM is never written and stays zero.
var<workgroup> tile_k: array<V, KEYS * PITCH>;
var<workgroup> tile_v: array<V, KEYS * PITCH>;
var<workgroup> weights: array<array<V, 16u * ROW>, SUBGROUPS>; // [query][key]; at first 16 channels of q
var<workgroup> scores: array<array<vec4f, 16u * ROW>, SUBGROUPS>; // [query][key]; or 16 channels of the result
var<workgroup> exceeded: atomic<u32>; // 1: the reference of some query has moved

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) t: u32) {
  let blocks = (p.rows + SUBGROUPS * 16u - 1u) / (SUBGROUPS * 16u);
  let id = group.y * groups.x + group.x;
  let first = (id % blocks) * SUBGROUPS * 16u;
  let sequence = id / (blocks * p.heads);
  if (sequence >= p.sequences) {
    return;
  }
  let at = places(sequence, id / blocks % p.heads * C);
  let part = t / 32u; // this subgroup
  let row = first + t / 2u; // this lane's query …
  let half = t % 2u; // … and every other vector of it
  let mine = t % 32u / 2u * ROW + half;
  let visible = select(p.keys, min(p.keys, row + 1u), p.causal == 1u);
  let keys = select(p.keys, min(p.keys, first + SUBGROUPS * 16u), p.causal == 1u); // of the workgroup
  let rows = first + part * 16u;
  let end = select(min(keys, select(keys, rows + 16u, p.causal == 1u)), 0u, rows >= p.rows); // of the subgroup

  // The first keys go to their tile, the first values wait in registers.
  var key: array<u32, STAGED>; // registers
  var channel: array<u32, STAGED>; // registers
  var next_k: array<V, STAGED>; // registers
  var next_v: array<V, STAGED>; // registers
  for (var i = 0u; i < STAGED; i++) { // unroll
    key[i] = (t + i * THREADS) / C;
    channel[i] = (t + i * THREADS) % C;
    let m = min(key[i], p.keys - 1u);
    next_v[i] = v[at.v + m * p.v.w + channel[i]];
    if (key[i] < KEYS) {
      tile_k[key[i] * PITCH + channel[i]] = k[at.k + m * p.k.w + channel[i]];
    }
  }
  var query: array<Left, BLOCKS>; // registers
  for (var b = 0u; b < BLOCKS; b++) { // unroll
    workgroupBarrier();
    for (var i = 0u; i < 2u; i++) { // unroll
      let c = b * 4u + half + i * 2u;
      weights[part][mine + i * 2u] = select(V(), q[at.q + min(row, p.rows - 1u) * p.q.w + min(c, C - 1u)], c < C);
    }
    workgroupBarrier();
    query[b] = subgroupMatrixLoad<Left, row_major>(&weights[part], 0u, ROW);
  }

  var sum: array<Sum, BLOCKS>; // registers
  var reference = MASKED;
  var totals = vec4f();
  for (var m = 0u; m < keys; m += KEYS) {
    let busy = m < end;
    for (var i = 0u; i < STAGED; i++) { // unroll
      next_k[i] = k[at.k + min(m + KEYS + key[i], p.keys - 1u) * p.k.w + channel[i]];
    }
    if (busy) {
      for (var j = 0u; j < KEYS / 16u; j++) { // unroll
        var score = Sum();
        for (var b = 0u; b < BLOCKS; b++) { // unroll
          let keys_b = subgroupMatrixLoad<Right, col_major>(&tile_k, j * 16u * PITCH + b * 4u, PITCH); // [channel][key]
          score = subgroupMatrixMultiplyAccumulate(query[b], keys_b, score);
        }
        subgroupMatrixStore<row_major>(&scores[part], j * 4u, score, ROW);
      }
    }
    workgroupBarrier();

    // Nobody reads this tile of keys any more, nor the last one of values.
    for (var i = 0u; i < STAGED; i++) { // unroll
      if (key[i] < KEYS) {
        tile_k[key[i] * PITCH + channel[i]] = next_k[i];
        tile_v[key[i] * PITCH + channel[i]] = next_v[i];
      }
      next_v[i] = v[at.v + min(m + KEYS + key[i], p.keys - 1u) * p.v.w + channel[i]];
    }
    var fade = 1.0;
    if (busy) {
      var s: array<vec4f, KEYS / 8u>; // registers
      for (var j = 0u; j < KEYS / 8u; j++) { // unroll
        s[j] = scores[part][mine + j * 2u] * p.scale;
      }
      if (m + KEYS > visible) {
        for (var j = 0u; j < KEYS / 8u; j++) { // unroll
          let seen = vec4u(m + j * 8u + half * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(visible);
          s[j] = select(vec4f(MASKED), s[j], seen);
        }
      }
      var most = s[0];
      for (var j = 0u; j < KEYS / 8u; j++) { // unroll
        most = max(most, s[j]);
      }
      var top = max(max(most.x, most.y), max(most.z, most.w));
      top = max(top, subgroupShuffleXor(top, 1u));
      if (m == 0u) {
        reference = top;
      } else if (top > reference + SLACK) {
        fade = exp2(reference - top);
        reference = top;
        totals *= fade;
        atomicStore(&exceeded, 1u);
      }
      for (var j = 0u; j < KEYS / 8u; j++) { // unroll
        let weight = V(exp2(s[j] - reference));
        weights[part][mine + j * 2u] = weight;
        totals += vec4f(weight); // as they are multiplied
      }
    }

    if (workgroupUniformLoad(&exceeded) == 1u) { // a barrier as well
      for (var b = 0u; b < BLOCKS; b++) { // unroll
        subgroupMatrixStore<row_major>(&scores[part], 0u, sum[b], ROW);
        workgroupBarrier();
        scores[part][mine] *= fade;
        scores[part][mine + 2u] *= fade;
        workgroupBarrier();
        sum[b] = subgroupMatrixLoad<Sum, row_major>(&scores[part], 0u, ROW);
        workgroupBarrier();
      }
      atomicStore(&exceeded, 0u);
    }
    if (busy) {
      for (var j = 0u; j < KEYS / 16u; j++) { // unroll
        let weights_j = subgroupMatrixLoad<Left, row_major>(&weights[part], j * 4u, ROW);
        for (var b = 0u; b < BLOCKS; b++) { // unroll
          let values_b = subgroupMatrixLoad<Right, row_major>(&tile_v, j * 16u * PITCH + b * 4u, PITCH); // [key][channel]
          sum[b] = subgroupMatrixMultiplyAccumulate(weights_j, values_b, sum[b]);
        }
      }
    }
  }

  var total = totals.x + totals.y + totals.z + totals.w;
  total += subgroupShuffleXor(total, 1u);
  for (var b = 0u; b < BLOCKS; b++) { // unroll
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&scores[part], 0u, sum[b], ROW);
    workgroupBarrier();
    for (var i = 0u; i < 2u; i++) { // unroll
      let c = b * 4u + half + i * 2u;
      if (row < p.rows && c < C) {
        y[at.y + row * p.y.w + c] = V(scores[part][mine + i * 2u] * (1.0 / total));
      }
    }
  }
}
