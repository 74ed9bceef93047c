// gemm.wgsl for GPUs. The idea: 64 output pixels × 64 columns a workgroup share what they read through workgroup memory,
// 16 channels at a time, so that each value is read from storage once for 64 multiplications; an invocation keeps 8 × 4
// sums in registers, and the next channels are on their way while the present ones are multiplied.
// For any channels, and for layers too small for gemm-wide.wgsl. 8 KiB of workgroup memory and 128 invocations: within every
// device's limits.

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

var<workgroup> tile_a: array<vec4<f32>, 256>; // [row][channel / 4]
var<workgroup> tile_b: array<vec4<f32>, 256>; // [channel][column / 4]

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

  // It sums up rows 8i … 8i + 7 and columns 4j … 4j + 3.
  let i = t / 16u * 8u;
  let j = t % 16u;
  var acc: array<vec4<f32>, 8>; // registers
  for (var step = share.x; step < share.y; step += STEP) {
    tile_a[t * 2u] = a.lo;
    tile_a[t * 2u + 1u] = a.hi;
    tile_b[t / 16u * 32u + j] = b.lo;
    tile_b[t / 16u * 32u + 16u + j] = b.hi;
    workgroupBarrier();
    advance(&f);
    a = pixels(f);
    b = weights(f);
    for (var q = 0u; q < 4u; q++) {
      let b0 = tile_b[q * 64u + j];
      let b1 = tile_b[q * 64u + 16u + j];
      let b2 = tile_b[q * 64u + 32u + j];
      let b3 = tile_b[q * 64u + 48u + j];
      for (var r = 0u; r < 8u; r++) { // unroll
        let v = tile_a[(i + r) * 4u + q];
        acc[r] += v.x * b0 + v.y * b1 + v.z * b2 + v.w * b3;
      }
    }
    workgroupBarrier();
  }
  let n = group.y * 64u + j * 4u;
  for (var r = 0u; r < 8u; r++) { // unroll
    if (first + i + r < total && n < p.outputs) {
      finish(acc[r], first + i + r, n, split);
    }
  }
}
