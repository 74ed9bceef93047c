// Four columns a thread. The one idea: a value of A, once loaded, is multiplied with four neighbouring values of B, and B
// and Y are read and written sixteen bytes at a time. A is now loaded a quarter as often, and each load instruction of B
// brings four values. Columns are a multiple of 4.

struct Params {
  rows: u32,
  inner: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x; // a vector of four columns
  let m = id.y;
  if (m >= p.rows || 4u * n >= p.columns) {
    return;
  }
  var sum = vec4f();
  for (var k = 0u; k < p.inner; k++) {
    sum += a[m * p.inner + k] * b[(k * p.columns) / 4u + n];
  }
  y[(m * p.columns) / 4u + n] = sum;
}
