// A subgroup that passes values round. The one idea: the lanes of a subgroup run in step and can read each other's
// registers. Each lane loads one row's values of A and its own columns of B, and a shuffle hands the rows round: no value
// is loaded twice, and no memory or barrier is needed to share it. This is the step for software adapters, where a load
// costs as much as a dozen multiplications. Rows are a multiple of LANES, columns of 4 · LANES, the inner size of 4.
enable subgroups;

const LANES: u32 = 8u; // of a subgroup

struct Params {
  rows: u32,
  inner: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * LANES;
  let n = group.x * LANES + lane; // a vector of four columns
  var sum: array<vec4f, LANES>;
  for (var k = 0u; k < p.inner; k += 4u) {
    let mine = a[((row + lane) * p.inner + k) / 4u];
    let at = (k * p.columns) / 4u + n;
    let b0 = b[at];
    let b1 = b[at + p.columns / 4u];
    let b2 = b[at + p.columns / 2u];
    let b3 = b[at + 3u * (p.columns / 4u)];
    for (var r = 0u; r < LANES; r++) {
      sum[r] += subgroupShuffle(mine.x, r) * b0 + subgroupShuffle(mine.y, r) * b1
        + subgroupShuffle(mine.z, r) * b2 + subgroupShuffle(mine.w, r) * b3;
    }
  }
  for (var r = 0u; r < LANES; r++) {
    y[((row + r) * p.columns) / 4u + n] = sum[r];
  }
}
