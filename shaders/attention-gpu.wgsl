// Attention for GPUs (flash attention). The one idea: a workgroup takes a tile of queries through all keys, tile by tile;
// tiles of q, k and v pass through workgroup memory, and every value read from there serves 4 rows or 4 keys of a thread.
// Softmax is taken as keys come by (online): the results so far fade when a larger score appears.
// TZ sequences or heads share a workgroup where sequences are short.

alias V = vec4<f32>; // storage of four values: vec4<f32> | vec4<f16> | vec2<u32> holding f16
alias F = vec4<f32>;
const HEAD_DIM: u32 = 64u;
const TX: u32 = 16u; // threads along keys, and along channels of the result
const TY: u32 = 8u; // threads along queries
const TZ: u32 = 1u;
const KT: u32 = 4u; // keys of a thread in a tile
const CHUNK: u32 = 8u; // vectors of q and k staged at once; divides C
const STAGED: u32 = 16u; // keys of v staged at once; divides KEYS
const C: u32 = HEAD_DIM / 4u;
const COLUMNS: u32 = (C + TX - 1u) / TX; // vectors of the result that a thread holds, for each of its 4 queries
const ROWS: u32 = TY * 4u; // queries of a tile
const KEYS: u32 = TX * KT; // keys of a tile
const WEIGHTS: u32 = KEYS * TY; // softmax weights, vectors of 4 queries
const POOL: u32 = max((ROWS + KEYS) * CHUNK, WEIGHTS + STAGED * TX);
const MASKED: f32 = -3e38;

// include lib/attention-params.wgsl

var<workgroup> pool: array<vec4f, TZ * POOL>; // q and k, then weights and v
var<workgroup> shared_rows: array<vec4f, TZ * TX * TY>; // largest scores or sums of a thread's 4 queries

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

@compute @workgroup_size(TX, TY, TZ)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) thread: vec3u) {
  let blocks = (p.rows + ROWS - 1u) / ROWS;
  let id = group.y * groups.x + group.x;
  let first = (id % blocks) * ROWS;
  let item = (id / blocks) * TZ + thread.z; // sequence and head
  let sequence = min(item / p.heads, p.sequences - 1u);
  let head = (item % p.heads) * C;
  let at = places(sequence, head);

  let tx = thread.x;
  let ty = thread.y;
  let t = ty * TX + tx;
  let at_pool = thread.z * POOL;
  let at_rows = thread.z * TX * TY + ty;
  let row = vec4u(0u, TY, 2u * TY, 3u * TY) + first + ty; // this thread's queries
  let visible = select(vec4u(p.keys), min(vec4u(p.keys), row + 1u), p.causal == 1u);

  var sum: array<vec4f, 4u * COLUMNS>;
  var largest = vec4f(MASKED);
  var total = vec4f();
  let keys = select(p.keys, min(p.keys, first + ROWS), p.causal == 1u);
  for (var m = 0u; m < keys; m += KEYS) {
    var s = array<vec4f, KT>(); // scores of the 4 queries with key m + j · TX + tx
    for (var c0 = 0u; c0 < C; c0 += CHUNK) {
      workgroupBarrier();
      for (var e = t; e < ROWS * CHUNK; e += TX * TY) {
        let row_at = at.q + min(first + e / CHUNK, p.rows - 1u) * p.q.w;
        pool[at_pool + (e % CHUNK) * ROWS + e / CHUNK] = unpack(q[row_at + c0 + e % CHUNK]);
      }
      for (var e = t; e < KEYS * CHUNK; e += TX * TY) {
        let row_at = at.k + min(m + e / CHUNK, p.keys - 1u) * p.k.w;
        pool[at_pool + ROWS * CHUNK + (e % CHUNK) * KEYS + e / CHUNK] = unpack(k[row_at + c0 + e % CHUNK]);
      }
      workgroupBarrier();
      for (var c = 0u; c < CHUNK; c++) {
        let a = at_pool + c * ROWS + ty;
        let q0 = pool[a];
        let q1 = pool[a + TY];
        let q2 = pool[a + 2u * TY];
        let q3 = pool[a + 3u * TY];
        for (var j = 0u; j < KT; j++) { // unroll
          let x = pool[at_pool + ROWS * CHUNK + c * KEYS + j * TX + tx];
          s[j] += vec4f(dot(q0, x), dot(q1, x), dot(q2, x), dot(q3, x));
        }
      }
    }

    var top = largest;
    for (var j = 0u; j < KT; j++) { // unroll
      s[j] = select(vec4f(MASKED), s[j] * p.scale, vec4u(m + j * TX + tx) < visible);
      top = max(top, s[j]);
    }
    shared_rows[at_rows + tx * TY] = top;
    workgroupBarrier();
    for (var x = 0u; x < TX; x++) {
      top = max(top, shared_rows[at_rows + x * TY]);
    }
    let fade = exp2(largest - top);
    largest = top;
    total *= fade;
    for (var j = 0u; j < KT; j++) { // unroll
      let weight = exp2(s[j] - top);
      total += weight; // of this thread's keys; the threads' totals are added at the end
      pool[at_pool + (j * TX + tx) * TY + ty] = weight;
    }
    for (var i = 0u; i < COLUMNS; i++) { // unroll
      sum[4u * i] *= fade.x;
      sum[4u * i + 1u] *= fade.y;
      sum[4u * i + 2u] *= fade.z;
      sum[4u * i + 3u] *= fade.w;
    }

    for (var i = 0u; i < COLUMNS; i++) { // unroll
      for (var m1 = 0u; m1 < KEYS; m1 += STAGED) {
        workgroupBarrier();
        for (var e = t; e < STAGED * TX; e += TX * TY) {
          let row_at = at.v + min(m + m1 + e / TX, p.keys - 1u) * p.v.w;
          pool[at_pool + WEIGHTS + e] = unpack(v[row_at + min(i * TX + e % TX, C - 1u)]);
        }
        workgroupBarrier();
        for (var j = 0u; j < STAGED; j++) {
          let weight = pool[at_pool + (m1 + j) * TY + ty];
          let x = pool[at_pool + WEIGHTS + j * TX + tx];
          sum[4u * i] += weight.x * x;
          sum[4u * i + 1u] += weight.y * x;
          sum[4u * i + 2u] += weight.z * x;
          sum[4u * i + 3u] += weight.w * x;
        }
      }
    }
  }

  shared_rows[at_rows + tx * TY] = total;
  workgroupBarrier();
  total = vec4f();
  for (var x = 0u; x < TX; x++) {
    total += shared_rows[at_rows + x * TY];
  }
  if (item >= p.sequences * p.heads) {
    return;
  }
  for (var i = 0u; i < COLUMNS; i++) { // unroll
    let c = i * TX + tx;
    for (var r = 0u; r < 4u; r++) { // unroll
      if (c < C && row[r] < p.rows) {
        y[at.y + row[r] * p.y.w + c] = pack(sum[4u * i + r] * (1.0 / total[r]));
      }
    }
  }
}
