// Attention for software adapters, where a load costs as much as ten multiplications whether or not lanes share it, and
// values in private memory are cheap. The one idea: a workgroup is one subgroup, each lane keeps ROWS queries with their
// results, and every value of k and v is loaded once, by one lane, and handed to the others by a shuffle.
// Softmax is taken as keys come by (online): the results so far fade when a larger score appears.
// On llvmpipe with 1024 tokens, 8 heads of 40: 25 GFLOP per second of a core, against 0.8 of attention.wgsl.

alias V = vec4<f32>; // storage of four values: vec4<f32> | vec4<f16> | vec2<u32> holding f16
alias F = vec4<f32>;
const LANES: u32 = 8u; // of a subgroup
const HEAD_DIM: u32 = 64u;
const ROWS: u32 = 2u; // queries of a lane
const KEYS: u32 = 8u; // keys of a step, at most LANES
const C: u32 = HEAD_DIM / 4u;
const PARTS: u32 = LANES / KEYS; // lanes that share the loading of a key
const PART: u32 = (C + PARTS - 1u) / PARTS;
const MASKED: f32 = -3e38;

// include lib/attention-params.wgsl

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let blocks = (p.rows + LANES * ROWS - 1u) / (LANES * ROWS);
  let id = group.y * groups.x + group.x;
  let first = (id % blocks) * LANES * ROWS;
  let head = ((id / blocks) % p.heads) * C;
  let sequence = id / (blocks * p.heads);
  if (sequence >= p.sequences) {
    return;
  }
  let at = places(sequence, head);

  var query: array<array<vec4f, C>, ROWS>;
  var sum: array<array<vec4f, C>, ROWS>;
  var largest: array<f32, ROWS>;
  var total: array<f32, ROWS>;
  var rows: array<u32, ROWS>; // this lane's queries; beyond the last that one again, written once more: asking costs more
  var visible: array<u32, ROWS>; // keys that a query sees
  for (var r = 0u; r < ROWS; r++) {
    largest[r] = MASKED;
    rows[r] = min(first + r * LANES + lane, p.rows - 1u);
    visible[r] = select(p.keys, min(p.keys, rows[r] + 1u), p.causal == 1u);
  }
  // p.vectors is C, which the compiler cannot know: loops of known length would be unrolled, and compile for seconds.
  for (var c = 0u; c < p.vectors; c++) {
    for (var r = 0u; r < ROWS; r++) {
      query[r][c] = unpack(q[at.q + rows[r] * p.q.w + c]) * p.scale;
    }
  }

  let keys = select(p.keys, min(p.keys, first + LANES * ROWS), p.causal == 1u);
  let part = (lane / KEYS) * PART;
  for (var m = 0u; m < keys; m += KEYS) {
    let mine = min(m + lane % KEYS, p.keys - 1u); // this lane loads vectors part … part + PART of that key
    var s = array<array<f32, KEYS>, ROWS>();
    for (var i = 0u; i < PART; i++) {
      let loaded = unpack(k[at.k + mine * p.k.w + min(part + i, C - 1u)]);
      for (var h = 0u; h < PARTS; h++) {
        let c = h * PART + i;
        if (c < C) {
          for (var j = 0u; j < KEYS; j++) {
            let x = subgroupShuffle(loaded, h * KEYS + j);
            for (var r = 0u; r < ROWS; r++) {
              s[r][j] = fma(query[r][c].w, x.w, fma(query[r][c].z, x.z, fma(query[r][c].y, x.y, fma(query[r][c].x, x.x, s[r][j]))));
            }
          }
        }
      }
    }
    var fade: array<f32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
      var top = largest[r];
      for (var j = 0u; j < KEYS; j++) {
        s[r][j] = select(MASKED, s[r][j], m + j < visible[r]);
        top = max(top, s[r][j]);
      }
      fade[r] = exp2(largest[r] - top);
      largest[r] = top;
      total[r] *= fade[r];
      for (var j = 0u; j < KEYS; j++) {
        s[r][j] = exp2(s[r][j] - top);
        total[r] += s[r][j];
      }
    }
    for (var i = 0u; i < PART; i++) {
      let loaded = unpack(v[at.v + mine * p.v.w + min(part + i, C - 1u)]);
      for (var h = 0u; h < PARTS; h++) {
        let c = h * PART + i;
        if (c < C) {
          var next: array<vec4f, ROWS>;
          for (var r = 0u; r < ROWS; r++) {
            next[r] = sum[r][c] * fade[r];
          }
          for (var j = 0u; j < KEYS; j++) {
            let x = subgroupShuffle(loaded, h * KEYS + j);
            for (var r = 0u; r < ROWS; r++) {
              next[r] = fma(vec4f(s[r][j]), x, next[r]);
            }
          }
          for (var r = 0u; r < ROWS; r++) {
            sum[r][c] = next[r];
          }
        }
      }
    }
  }

  for (var r = 0u; r < ROWS; r++) {
    let scale = 1.0 / total[r];
    let row_at = at.y + rows[r] * p.y.w;
    for (var c = 0u; c < p.vectors; c++) {
      y[row_at + c] = pack(sum[r][c] * scale);
    }
  }
}
