// Sinusoidal embedding of timesteps. WGSL promises little of its own sin and cos (2^-11 near zero, nothing far away), and
// angles go up to 1000: they are reduced to ±π/4 by multiples of π/2 in two parts, then Cephes' single-precision
// polynomials give both functions within 1e-7.

alias T = f32; // storage of y

struct Params {
  count: u32,
  pairs: u32, // half of the dimension
  flip: u32, // 1: cosines first
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> timesteps: array<f32>;
@group(0) @binding(2) var<storage, read> frequencies: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

// (cos, sin)
fn circle(angle: f32) -> vec2f {
  let turns = round(angle * 0.6366197723675814f);
  // π/2 as 1.5703125 (9 bits: its multiples are exact) and the rest
  let r = (angle - turns * 1.5703125f) - turns * 0.00048382679489661923f;
  let z = r * r;
  let s = r + r * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
  let c = 1f - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
  switch (i32(turns) & 3) {
    case 0: { return vec2f(c, s); }
    case 1: { return vec2f(-s, c); }
    case 2: { return vec2f(-c, -s); }
    default: { return vec2f(s, -c); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.pairs) {
    return;
  }
  let point = circle(timesteps[id.y] * frequencies[id.x]);
  let row = id.y * 2u * p.pairs;
  let cosine = select(p.pairs + id.x, id.x, p.flip == 1u);
  let sine = select(id.x, p.pairs + id.x, p.flip == 1u);
  y[row + cosine] = T(point.x);
  y[row + sine] = T(point.y);
}
