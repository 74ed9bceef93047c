// Matrix product, the plain version: one thread computes one element, reading a row of A and a column of B.
// y[m, n] = sum over k of a[m, k] · b[k, n].  The reference that every faster version is measured against.

alias T = f32; // storage of a, b and y: f32 | f16

struct Params {
  rows: u32, // of a and y
  inner: u32, // columns of a, rows of b
  columns: u32, // of b and y
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<T>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let m = id.y;
  if (m >= p.rows || n >= p.columns) {
    return;
  }
  var sum = 0f;
  for (var k = 0u; k < p.inner; k++) {
    sum += f32(a[m * p.inner + k]) * f32(b[k * p.columns + n]);
  }
  y[m * p.columns + n] = T(sum);
}
