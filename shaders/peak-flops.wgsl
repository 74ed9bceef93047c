// How fast an adapter multiplies and adds: chains of fused multiply-adds that never leave the registers. Each chain runs
// towards the fixed point b / (1 - a), so that the result is known.

struct Params {
  rounds: u32,
  a: f32,
  b: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = vec4f(p.a);
  let b = vec4f(p.b);
  // Eight chains, so that one need not wait for the other.
  var c0 = vec4f(f32(id.x));
  var c1 = c0 + 1f;
  var c2 = c0 + 2f;
  var c3 = c0 + 3f;
  var c4 = c0 + 4f;
  var c5 = c0 + 5f;
  var c6 = c0 + 6f;
  var c7 = c0 + 7f;
  for (var i = 0u; i < p.rounds; i++) {
    for (var k = 0u; k < 4u; k++) {
      c0 = fma(c0, a, b);
      c1 = fma(c1, a, b);
      c2 = fma(c2, a, b);
      c3 = fma(c3, a, b);
      c4 = fma(c4, a, b);
      c5 = fma(c5, a, b);
      c6 = fma(c6, a, b);
      c7 = fma(c7, a, b);
    }
  }
  y[id.x] = dot(((c0 + c1) + (c2 + c3)) + ((c4 + c5) + (c6 + c7)), vec4f(0.03125f));
}
