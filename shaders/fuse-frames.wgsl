// y[frame] = weight[frame] · x[frame], or added to what is there: one window's share in a clip that is put together from
// overlapping windows of frames.

alias V = f32; // storage of x: one element, or four
alias F = f32; // the same in f32
const ADD: bool = false;

struct Params {
  units: u32, // of a frame
  total: u32, // of all frames
  skipX: u32, // units before the first frame
  skipY: u32,
  weights: array<vec4f, 12>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;

fn unpack(v: V) -> F { return F(v); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.total) {
    return;
  }
  let frame = i / p.units;
  let share = p.weights[frame / 4u][frame % 4u] * unpack(x[p.skipX + i]);
  if (ADD) {
    y[p.skipY + i] += share;
  } else {
    y[p.skipY + i] = share;
  }
}
