// Pictures in -1 … 1 to 8-bit RGBA: round(clamp(x / 2 + 0.5, 0, 1) · 255), halves to even, as numpy rounds. A thread
// makes four pixels of three units; what the last one does beyond the end falls into the padding of allocations.

alias V = vec4<f32>; // storage of x
const TRUNCATE: bool = false; // cut fractions off instead

struct Params {
  units: u32, // pixels / 4, rounded up
  bound: u32, // units of x that are bound
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4u>;

fn unpack(v: V) -> vec4f { return vec4f(v); }

fn bytes(i: u32) -> vec4u {
  let v = clamp(unpack(x[min(i, p.bound - 1u)]) * 0.5f + 0.5f, vec4f(0f), vec4f(1f)) * 255f;
  return vec4u(select(round(v), floor(v), TRUNCATE));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.units) {
    return;
  }
  let a = bytes(3u * i);
  let b = bytes(3u * i + 1u);
  let c = bytes(3u * i + 2u);
  let r = vec4u(a.x, a.w, b.z, c.y);
  let g = vec4u(a.y, b.x, b.w, c.z);
  let blue = vec4u(a.z, b.y, c.x, c.w);
  y[i] = r | (g << vec4u(8u)) | (blue << vec4u(16u)) | vec4u(0xff000000u);
}
