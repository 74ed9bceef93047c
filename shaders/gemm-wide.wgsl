// gemm-gpu.wgsl for layers of many pixels. The idea: 128 output pixels × 128 columns a workgroup, so that a value is read from
// storage once for 128 multiplications, and 8 × 8 sums an invocation, so that four vectors from workgroup memory serve 64
// multiplications. An invocation writes whole vectors there: one that several write, a component each, may lose some, as WGSL
// lets a write of a component write them all. For channels of each source in multiples of 16.
// 16 KiB of workgroup memory and 256 invocations: within every device's limits.

alias T = f32; // activations
alias X = vec4<f32>; // unit in which x is read
alias W = vec4<f32>; // unit in which weights are read
const COLUMNS: u32 = 4u; // of a vector
const CONCAT: bool = false; // there is an x2
const GEGLU: bool = false; // columns come in pairs (value, gate)
const ACTIVATION: u32 = 0u; // see lib/activations.wgsl
const PANEL: u32 = 32u; // columns of a panel of packed weights

// include lib/gemm-params.wgsl
@group(0) @binding(5) var<storage, read> x: array<X>;
@group(0) @binding(6) var<storage, read> x2: array<X>;
@group(0) @binding(7) var<storage, read> w: array<W>;

const TILE: u32 = 128u; // rows, and columns
const STEP: u32 = 16u; // channels

var<workgroup> tile_a: array<vec4<f32>, 512>; // [row][channel / 4, see place]
var<workgroup> tile_b: array<vec4<f32>, 512>; // [channel][column / 4]

// include lib/gemm-octets.wgsl

// What follows the sum of COLUMNS columns from n on, see lib/finish.wgsl; for a share of it see lib/finish-share.wgsl.
fn finish(sum: vec4<f32>, row: u32, n: u32, split: u32) {
  y[p.y_start + row * p.outputs + n] = T(sum.x);
}

// include lib/gemm-shares.wgsl
// include lib/gemm-source.wgsl
// include lib/gemm-pair.wgsl

// Eight channels of a pixel from `c` of the step on.
fn pixels(s: Source, c: u32) -> Octet {
  if (!s.valid) {
    return Octet();
  }
  if (CONCAT && s.c >= p.c1) {
    return octet2(s.at2 + s.c - p.c1 + c, 8u);
  }
  return octet(s.at + s.c + c, 8u);
}

// Columns n … n + 3 of rows k and k + 1.
fn weights(panel: u32, k: u32, n: u32) -> Octet {
  if (n < p.outputs) {
    return pair(panel, k, n % PANEL);
  }
  return Octet();
}

// Of channels 4c … 4c + 3 of a row in its tile: eight rows that follow each other lie in different banks of memory.
fn place(row: u32, c: u32) -> u32 {
  return row * 4u + (c ^ (row / 2u % 4u));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let split = group.z % p.splits;
  let first = (group.x + group.z / p.splits * p.groups_x) * TILE;
  let columns = group.y * TILE;
  let total = p.frames * p.rows * p.width;
  let share = share_of(split);

  // What it brings: eight channels of a pixel, and four columns of two rows of the weights.
  let row = t % TILE;
  let c = t / TILE * 8u;
  var s = source(first + row, share.x);
  let pair_row = t / 32u * 2u;
  let n = columns + t % 32u * 4u;
  let panel = (n / PANEL * p.matrices + min(first / (p.rows * p.width), p.matrices - 1u)) * depth();
  var a = pixels(s, c);
  var b = weights(panel, share.x + pair_row, n);

  // It sums up rows 4i … 4i + 3 and 64 + 4i …, columns 4j … 4j + 3 and 64 + 4j …
  let i = t / 16u;
  let j = t % 16u;
  var acc: array<vec4<f32>, 16>; // registers
  for (var k = share.x; k < share.y; k += STEP) {
    tile_a[place(row, c / 4u)] = a.lo;
    tile_a[place(row, c / 4u + 1u)] = a.hi;
    tile_b[pair_row * 32u + t % 32u] = b.lo;
    tile_b[pair_row * 32u + 32u + t % 32u] = b.hi;
    workgroupBarrier();
    if (k + STEP < share.y) {
      advance(&s);
      a = pixels(s, c);
      b = weights(panel, k + STEP + pair_row, n);
    }
    for (var q = 0u; q < STEP / 4u; q++) {
      var right: array<vec4<f32>, 8>; // registers
      for (var e = 0u; e < 4u; e++) { // unroll
        right[e * 2u] = tile_b[(q * 4u + e) * 32u + j];
        right[e * 2u + 1u] = tile_b[(q * 4u + e) * 32u + 16u + j];
      }
      for (var r = 0u; r < 4u; r++) { // unroll
        let a0 = tile_a[place(i * 4u + r, q)];
        let a1 = tile_a[place(64u + i * 4u + r, q)];
        for (var e = 0u; e < 4u; e++) { // unroll
          acc[r * 2u] += a0[e] * right[e * 2u];
          acc[r * 2u + 1u] += a0[e] * right[e * 2u + 1u];
          acc[r * 2u + 8u] += a1[e] * right[e * 2u];
          acc[r * 2u + 9u] += a1[e] * right[e * 2u + 1u];
        }
      }
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < 8u; r++) { // unroll
    let at = first + r / 4u * 64u + i * 4u + r % 4u;
    for (var h = 0u; h < 2u; h++) { // unroll
      let m = columns + h * 64u + j * 4u;
      if (at < total && m < p.outputs) {
        finish(acc[r * 2u + h], at, m, split);
      }
    }
  }
}
