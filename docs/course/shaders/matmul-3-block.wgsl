// A block of results in registers. The one idea: a thread that owns R × 4 results loads R + 4 values for R · 4
// multiplications, so the loads for one multiplication fall as the block grows, until the registers run out. Here R is 4,
// and A too is read four values at a time. Rows, inner size and columns are multiples of 4.

struct Params {
  rows: u32,
  inner: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let m = 4u * id.y;
  if (m >= p.rows || 4u * n >= p.columns) {
    return;
  }
  var sum: array<vec4f, 4>;
  for (var k = 0u; k < p.inner; k += 4u) {
    let at = (k * p.columns) / 4u + n;
    let b0 = b[at];
    let b1 = b[at + p.columns / 4u];
    let b2 = b[at + p.columns / 2u];
    let b3 = b[at + 3u * (p.columns / 4u)];
    for (var r = 0u; r < 4u; r++) {
      let v = a[((m + r) * p.inner + k) / 4u];
      sum[r] += v.x * b0 + v.y * b1 + v.z * b2 + v.w * b3;
    }
  }
  for (var r = 0u; r < 4u; r++) {
    y[((m + r) * p.columns) / 4u + n] = sum[r];
  }
}
