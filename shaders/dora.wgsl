// DoRA (Liu et al. 2024): a changed weight v scaled to stored lengths, as the difference from the weight it replaces:
// y = magnitude · v / ‖v‖ − base, the norm over each output's (or each input's) elements. One workgroup a norm.

struct Params {
  row: u32, // elements of an output: inputs · taps
  taps: u32, // elements of a norm that lie together: a whole row (norm of an output), or the kernel (norm of an input)
  count: u32, // elements of a norm
  slots: u32, // norms
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> v: array<f32>;
@group(0) @binding(2) var<storage, read> magnitude: array<f32>;
@group(0) @binding(3) var<storage, read> base: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const EPS = 0x1p-23f; // as LyCORIS; a zero weight stays zero

var<workgroup> squares: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let slot = group.x + group.y * groups.x;
  if (slot >= p.slots) {
    return;
  }
  var sum = 0f;
  for (var i = thread; i < p.count; i += 64u) {
    let x = v[(i / p.taps) * p.row + slot * p.taps + i % p.taps];
    sum += x * x;
  }
  squares[thread] = sum;
  workgroupBarrier();
  for (var n = 32u; n > 0u; n /= 2u) {
    if (thread < n) {
      squares[thread] += squares[thread + n];
    }
    workgroupBarrier();
  }
  let factor = magnitude[slot] / (sqrt(squares[0]) + EPS);
  for (var i = thread; i < p.count; i += 64u) {
    let at = (i / p.taps) * p.row + slot * p.taps + i % p.taps;
    y[at] = factor * v[at] - base[at];
  }
}
