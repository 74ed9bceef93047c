// y = a + scale · b over a run of elements: how a network's weighted addition meets the map it is for.

alias V = f32; // storage of a, b and y: one element, or four
alias F = f32; // the same in f32

struct Params {
  units: u32,
  scale: f32,
  skip_a: u32, // units before the first one
  skip_b: u32,
  skip_y: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<V>;
@group(0) @binding(2) var<storage, read> b: array<V>;
@group(0) @binding(3) var<storage, read_write> y: array<V>;

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.units) {
    return;
  }
  y[p.skip_y + i] = pack(unpack(a[p.skip_a + i]) + p.scale * unpack(b[p.skip_b + i]));
}
