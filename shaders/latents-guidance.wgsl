// Classifier-free guidance (Ho and Salimans 2022): y = u + g · (c - u), where u and c are the halves of one tensor.

alias V = f32; // storage of eps: one element, or four
alias F = f32; // the same in f32

struct Params {
  units: u32, // of one half
  scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> eps: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;

fn unpack(v: V) -> F { return F(v); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.units) {
    return;
  }
  let u = unpack(eps[i]);
  y[i] = u + p.scale * (unpack(eps[p.units + i]) - u);
}
