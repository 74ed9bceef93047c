// Tiles in workgroup memory. The one idea: the 256 threads of a workgroup work on neighbouring blocks and need the same
// values, so they load a 64 × 16 tile of A and a 16 × 64 tile of B together, once, into memory that they share, and read
// them from there. On a GPU, whose shared memory is many times faster than its storage, this is the largest step; on a
// software adapter both are the same memory, and the barriers cost more than they save. Rows and columns are multiples of
// 64, the inner size one of 16.

struct Params {
  rows: u32,
  inner: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

var<workgroup> tile_a: array<vec4f, 256>; // [row][k / 4]
var<workgroup> tile_b: array<vec4f, 256>; // [k][column / 4]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let row = group.y * 64u;
  let column = group.x * 16u; // in vectors
  let i = (t / 16u) * 4u; // this thread's rows of the tile
  let j = t % 16u; // and its vector of columns
  var sum: array<vec4f, 4>;
  for (var k = 0u; k < p.inner; k += 16u) {
    tile_a[t] = a[((row + t / 4u) * p.inner + k) / 4u + t % 4u];
    tile_b[t] = b[((k + t / 16u) * p.columns) / 4u + column + j];
    workgroupBarrier();
    for (var q = 0u; q < 4u; q++) {
      let b0 = tile_b[q * 64u + j];
      let b1 = tile_b[q * 64u + 16u + j];
      let b2 = tile_b[q * 64u + 32u + j];
      let b3 = tile_b[q * 64u + 48u + j];
      for (var r = 0u; r < 4u; r++) {
        let v = tile_a[(i + r) * 4u + q];
        sum[r] += v.x * b0 + v.y * b1 + v.z * b2 + v.w * b3;
      }
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < 4u; r++) {
    y[((row + i + r) * p.columns) / 4u + column + j] = sum[r];
  }
}
