// Winograd's F(2 × 2, 3 × 3): G g Gᵀ of every 3 × 3 kernel g, once, before weights are packed (see winograd-input.wgsl).
// One invocation a kernel.

const SIDE: u32 = 4u; // points a side; 3 where x is doubled

struct Params {
  kernels: u32, // outputs · inputs
  half_source: u32, // raw is f16
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> raw: array<u32>; // [kernels, 3, 3]
@group(0) @binding(2) var<storage, read_write> u: array<f32>; // [kernels, SIDE, SIDE]

fn value(i: u32) -> f32 {
  if (p.half_source == 1u) {
    return unpack2x16float(raw[i / 2u])[i % 2u];
  }
  return bitcast<f32>(raw[i]);
}

// G times a column of the kernel.
fn spread(g: array<f32, 3>) -> array<f32, SIDE> {
  let outer = (g[0] + g[2]) * 0.5;
  let inner = g[1] * 0.5;
  return array<f32, SIDE>(g[0], outer + inner, outer - inner, g[2]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let kernel = id.x + id.y * groups.x * 64u;
  if (kernel >= p.kernels) {
    return;
  }
  var rows: array<array<f32, 3>, SIDE>; // G g
  for (var j = 0u; j < 3u; j++) {
    let at = kernel * 9u + j;
    let t = spread(array<f32, 3>(value(at), value(at + 3u), value(at + 6u)));
    for (var i = 0u; i < SIDE; i++) {
      rows[i][j] = t[i];
    }
  }
  for (var i = 0u; i < SIDE; i++) {
    let t = spread(rows[i]);
    for (var j = 0u; j < SIDE; j++) {
      u[(kernel * SIDE + i) * SIDE + j] = t[j];
    }
  }
}
