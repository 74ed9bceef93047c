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

struct Params {
  frames: u32, // see gemm.wgsl
  rows: u32,
  width: u32,
  outputs: u32,
  c1: u32,
  c2: u32,
  c_padded: u32,
  panel: u32,
  kernel_h: u32,
  kernel_w: u32,
  stride: u32,
  pad_top: u32,
  pad_left: u32,
  in_h: u32,
  in_w: u32,
  src_h: u32,
  src_w: u32,
  bound_rows: u32,
  first_src: u32,
  first_row: u32,
  x_start: u32,
  x2_start: u32,
  y_start: u32,
  residual_start: u32,
  first_frame: u32,
  frames_per_bias: u32,
  has_bias: u32,
  has_residual: u32,
  half_weights: u32,
  activation: u32,
  groups_x: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> x2: array<X>;
@group(0) @binding(3) var<storage, read> w: array<W>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> row_bias: array<T>;
@group(0) @binding(6) var<storage, read> residual: array<T>;
@group(0) @binding(7) var<storage, read_write> y: array<T>;

const ROWS: u32 = 64u;
const STEP: u32 = 16u; // channels

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

var<workgroup> tile_a: array<f16, 1024>; // [row][channel]
var<workgroup> tile_b: array<f16, 1024>; // [channel][column]
var<workgroup> sums: array<f32, 1024>; // [subgroup][row][column]

// Channels c … c + 7 of a pixel.
struct Octet {
  lo: vec4<f32>,
  hi: vec4<f32>,
}

// The octet at element i; `left` channels of the pixel remain.
fn octet(i: u32, left: u32) -> Octet {
  return Octet(x[i / 4u], x[i / 4u + 1u]);
}

fn octet2(i: u32, left: u32) -> Octet {
  return Octet(x2[i / 4u], x2[i / 4u + 1u]);
}

// Four columns of rows k and k + 1 (k even) of the panel that begins at row `panel`, as two vectors.
fn pair(panel: u32, k: u32, column: u32) -> Octet {
  let i = ((panel + k) * p.panel + column) / 4u;
  return Octet(w[i], w[i + p.panel / 4u]);
}

// What follows the sum of COLUMNS columns from n on, see lib/finish.wgsl.
fn finish(sum: vec4<f32>, row: u32, n: u32) {
  y[p.y_start + row * p.outputs + n] = T(sum.x);
}

// Where an output pixel begins to read.
struct Place {
  frame: u32,
  oy: u32,
  ox: u32,
  inside: bool,
}

fn channels(place: Place, tap: u32, c: u32) -> Octet {
  let iy = place.oy + tap / p.kernel_w;
  let ix = place.ox + tap % p.kernel_w;
  if (!place.inside || tap >= p.kernel_h * p.kernel_w || iy >= p.in_h || ix >= p.in_w) {
    return Octet();
  }
  let row = place.frame * p.bound_rows + iy * p.src_h / p.in_h - p.first_src;
  let source = row * p.src_w + ix * p.src_w / p.in_w;
  if (CONCAT && c >= p.c1) {
    return octet2(p.x2_start + source * p.c2 + c - p.c1, p.c1 + p.c2 - c);
  }
  return octet(p.x_start + source * p.c1 + c, p.c1 - c);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let first = (group.x + group.z * p.groups_x) * ROWS;
  let size = p.rows * p.width;
  let total = p.frames * size;
  let depth = p.kernel_h * p.kernel_w * p.c_padded;

  // This invocation brings eight channels of one pixel and four columns of two channels' weights.
  let row = first + t / 2u;
  let place = Place(
    row / size,
    (row % size / p.width + p.first_row) * p.stride - p.pad_top, // below 0 wraps to a large number
    row % p.width * p.stride - p.pad_left,
    row < total,
  );
  let column = group.y * 64u + t % 16u * 4u;
  let panel = column / p.panel * depth;
  let in_panel = column % p.panel;
  var tap = 0u;
  var c = t % 2u * 8u;
  while (c >= p.c_padded) {
    c -= p.c_padded;
    tap++;
  }
  var k = t / 16u * 2u;
  var a = channels(place, tap, c);
  var b = Octet();
  if (k < depth && column < p.outputs) {
    b = pair(panel, k, in_panel);
  }

  // This subgroup's corner, and its four products.
  let i = t / 64u * 32u;
  let j = t / 32u % 2u * 32u;
  var acc: array<Sum, 4>;
  for (var step = 0u; step < depth; step += STEP) {
    for (var e = 0u; e < 4u; e++) {
      tile_a[t * 8u + e] = f16(a.lo[e]);
      tile_a[t * 8u + 4u + e] = f16(a.hi[e]);
      tile_b[t / 16u * 128u + t % 16u * 4u + e] = f16(b.lo[e]);
      tile_b[t / 16u * 128u + 64u + t % 16u * 4u + e] = f16(b.hi[e]);
    }
    workgroupBarrier();
    c += STEP;
    while (c >= p.c_padded) {
      c -= p.c_padded;
      tap++;
    }
    k += STEP;
    a = channels(place, tap, c);
    b = Octet();
    if (k < depth && column < p.outputs) {
      b = pair(panel, k, in_panel);
    }
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
        finish(vec4<f32>(sums[s], sums[s + 1u], sums[s + 2u], sums[s + 3u]), r, n);
      }
    }
    workgroupBarrier();
  }
}
