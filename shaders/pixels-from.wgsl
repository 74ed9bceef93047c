// 8-bit RGBA to pictures in -1 … 1: byte / 255 · 2 - 1, three channels. A thread reads four pixels and writes three units.

alias V = vec4<f32>; // storage of y

struct Params {
  units: u32, // pixels / 4, rounded up
  bound: u32, // units of y that are bound
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

fn pack(v: vec4f) -> V { return V(v); }

fn signed(bytes: vec4u) -> vec4f {
  return vec4f(bytes & vec4u(255u)) / 255f * 2f - 1f;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.units) {
    return;
  }
  let v = x[i];
  let r = signed(v);
  let g = signed(v >> vec4u(8u));
  let b = signed(v >> vec4u(16u));
  y[3u * i] = pack(vec4f(r.x, g.x, b.x, r.y));
  if (3u * i + 1u < p.bound) {
    y[3u * i + 1u] = pack(vec4f(g.y, b.y, r.z, g.z));
  }
  if (3u * i + 2u < p.bound) {
    y[3u * i + 2u] = pack(vec4f(b.z, r.w, g.w, b.w));
  }
}
