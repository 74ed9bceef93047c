// Sinusoidal embedding of timesteps. The frequencies come from the host in full precision. WGSL promises sin and cos only
// near zero, so the angle, up to 1000, is first reduced by multiples of 2π in two parts.

alias T = f32; // storage of y

struct Params {
  count: u32,
  half: u32,
  flip: u32, // 1: cosines first
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> timesteps: array<f32>;
@group(0) @binding(2) var<storage, read> frequencies: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

// 2π as 6.28125 (few bits: its multiples are exact) and the rest.
fn reduce(angle: f32) -> f32 {
  let turns = round(angle * 0.15915494309189535f);
  return fma(-turns, 0.0019353071795864769f, fma(-turns, 6.28125f, angle));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.half) {
    return;
  }
  let angle = reduce(timesteps[id.y] * frequencies[id.x]);
  let row = id.y * 2u * p.half;
  let cosine = select(p.half + id.x, id.x, p.flip == 1u);
  let sine = select(id.x, p.half + id.x, p.flip == 1u);
  y[row + cosine] = T(cos(angle));
  y[row + sine] = T(sin(angle));
}
