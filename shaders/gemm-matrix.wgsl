// gemm.wgsl for tensor cores. The idea: the tiles of gemm-gpu.wgsl as f16, multiplied 16 × 16 × 16 at a time by the matrix
// units of a subgroup with sums in f32. Four subgroups of 32 lanes own 32 × 32 outputs each. For f16 activations and f16
// weights only, whose values the tiles hold exactly. 8 KiB of workgroup memory. Written against Chromium's experimental
// feature and compiled by Dawn's validation; not timed on hardware yet.
enable chromium_experimental_subgroup_matrix;
// Offsets depend on t / 32 alone, equal in all lanes of a subgroup, which the compiler cannot know.
diagnostic(off, chromium.subgroup_matrix_uniformity);

alias T = f32; // activations
alias X = vec4<f32>; // unit in which x is read
alias W = vec4<f32>; // unit in which weights are read
const COLUMNS: u32 = 4u; // of an invocation
const CONCAT: bool = false; // there is an x2
const GEGLU: bool = false; // columns come in pairs (value, gate)
const ACTIVATION: u32 = 0u; // see lib/activations.wgsl

// include lib/gemm-params.wgsl
@group(0) @binding(5) var<storage, read> x: array<X>;
@group(0) @binding(6) var<storage, read> x2: array<X>;
@group(0) @binding(7) var<storage, read> w: array<W>;

const ROWS: u32 = 64u;
const STEP: u32 = 16u; // channels

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

var<workgroup> tile_a: array<f16, 1024>; // [row][channel]
var<workgroup> tile_b: array<f16, 1024>; // [channel][column]
var<workgroup> sums: array<f32, 1024>; // [subgroup][row][column]

// include lib/gemm-octets.wgsl

// What follows the sum of COLUMNS columns from n on, see lib/finish.wgsl; for a share of it see lib/finish-share.wgsl.
fn finish(sum: vec4<f32>, row: u32, n: u32, split: u32) {
  y[p.y_start + row * p.outputs + n] = T(sum.x);
}

// include lib/gemm-tiles.wgsl

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let split = group.z % p.splits;
  let first = (group.x + group.z / p.splits * p.groups_x) * ROWS;
  let total = p.frames * p.rows * p.width;
  let share = share_of(split);
  var f = feed(first, group.y * 64u, share.x, t);
  var a = pixels(f);
  var b = weights(f);

  // This subgroup's corner, and its four products.
  let i = t / 64u * 32u;
  let j = t / 32u % 2u * 32u;
  var acc: array<Sum, 4>;
  for (var step = share.x; step < share.y; step += STEP) {
    for (var e = 0u; e < 4u; e++) {
      tile_a[t * 8u + e] = f16(a.lo[e]);
      tile_a[t * 8u + 4u + e] = f16(a.hi[e]);
      tile_b[t / 16u * 128u + t % 16u * 4u + e] = f16(b.lo[e]);
      tile_b[t / 16u * 128u + 64u + t % 16u * 4u + e] = f16(b.hi[e]);
    }
    workgroupBarrier();
    advance(&f);
    a = pixels(f);
    b = weights(f);
    let left0 = subgroupMatrixLoad<Left>(&tile_a, i * STEP, false, STEP);
    let left1 = subgroupMatrixLoad<Left>(&tile_a, (i + 16u) * STEP, false, STEP);
    let right0 = subgroupMatrixLoad<Right>(&tile_b, j, false, 64u);
    let right1 = subgroupMatrixLoad<Right>(&tile_b, j + 16u, false, 64u);
    acc[0] = subgroupMatrixMultiplyAccumulate(left0, right0, acc[0]);
    acc[1] = subgroupMatrixMultiplyAccumulate(left0, right1, acc[1]);
    acc[2] = subgroupMatrixMultiplyAccumulate(left1, right0, acc[2]);
    acc[3] = subgroupMatrixMultiplyAccumulate(left1, right1, acc[3]);
    workgroupBarrier();
  }
  for (var q = 0u; q < 4u; q++) {
    subgroupMatrixStore(&sums, t / 32u * 256u, acc[q], false, 16u);
    workgroupBarrier();
    // 16 × 16 sums of each subgroup by its 32 lanes, four columns at a time.
    for (var half = 0u; half < 2u; half++) {
      let at = t % 32u + half * 32u;
      let r = first + i + q / 2u * 16u + at / 4u;
      let n = group.y * 64u + j + q % 2u * 16u + at % 4u * 4u;
      if (r < total && n < p.outputs) {
        let s = t / 32u * 256u + at * 4u;
        finish(vec4<f32>(sums[s], sums[s + 1u], sums[s + 2u], sums[s + 3u]), r, n, split);
      }
    }
    workgroupBarrier();
  }
}
