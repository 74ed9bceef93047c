// Pictures in -1 … 1 to 8-bit RGBA: round(clamp(x / 2 + 0.5, 0, 1) · 255), halves to even, as numpy rounds.

alias T = f32; // storage of x: f32 | f16

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.count) {
    return;
  }
  var rgba = 0xff000000u;
  for (var k = 0u; k < 3u; k++) {
    rgba |= u32(round(clamp(f32(x[3u * i + k]) * 0.5f + 0.5f, 0f, 1f) * 255f)) << (8u * k);
  }
  y[i] = rgba;
}
