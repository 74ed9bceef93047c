// Attention, the plain version: one thread computes one query row of one head in two passes over the keys.
// y[n] = sum over m of softmax_m(scale · q[n]·k[m]) · v[m].  The reference that every faster version is measured against.

alias V = f32; // storage of q, k, v and y: f32 | f16
const HEAD_DIM: u32 = 64u;

// include lib/attention-params.wgsl

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
  let at = places(sequence, head * HEAD_DIM);
  let at_q = at.q + n * p.q.w;
  let keys = select(p.keys, min(p.keys, n + 1u), p.causal == 1u);

  // exp(score − largest) is at most 1: no score overflows.
  var largest = -3.4e38f;
  for (var m = 0u; m < keys; m++) {
    largest = max(largest, score(at_q, at.k + m * p.k.w));
  }
  var total = 0f;
  var sum: array<f32, HEAD_DIM>;
  for (var m = 0u; m < keys; m++) {
    let weight = exp(score(at_q, at.k + m * p.k.w) - largest);
    total += weight;
    for (var c = 0u; c < HEAD_DIM; c++) {
      sum[c] += weight * f32(v[at.v + m * p.v.w + c]);
    }
  }
  for (var c = 0u; c < HEAD_DIM; c++) {
    y[at.y + n * p.y.w + c] = V(sum[c] / total);
  }
}
