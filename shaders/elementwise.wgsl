// y = activation(a + b), elementwise; also converts between storage types.

alias A = f32; // storage of a and b: f32 | f16
alias T = f32; // storage of y: f32 | f16

struct Params {
  count: u32,
  activation: u32, // see lib/activations.wgsl
  has_b: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<A>;
@group(0) @binding(2) var<storage, read> b: array<A>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

fn activate(v: f32, kind: u32) -> f32 { return v; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.count) {
    return;
  }
  var v = f32(a[i]);
  if (p.has_b == 1u) {
    v += f32(b[i]);
  }
  y[i] = T(activate(v, p.activation));
}
