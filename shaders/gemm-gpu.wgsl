// gemm.wgsl for GPUs. The idea: 64 output pixels × 64 columns a workgroup share what they read through workgroup memory,
// 16 channels at a time, so that each value is read from storage once for 64 multiplications; an invocation keeps 8 × 4
// sums in registers, and the next channels are on their way while the present ones are multiplied.
// Written for GPUs and not timed on one yet; on llvmpipe 2 to 9 times as fast as gemm.wgsl. 8 KiB of workgroup memory and 128
// invocations: within every device's limits.

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

var<workgroup> tile_a: array<vec4<f32>, 256>; // [row][channel / 4]
var<workgroup> tile_b: array<vec4<f32>, 256>; // [channel][column / 4]

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

  // It sums up rows 8i … 8i + 7 and columns 4j … 4j + 3.
  let i = t / 16u * 8u;
  let j = t % 16u;
  var acc: array<vec4<f32>, 8>;
  for (var step = 0u; step < depth; step += STEP) {
    tile_a[t * 2u] = a.lo;
    tile_a[t * 2u + 1u] = a.hi;
    tile_b[t / 16u * 32u + j] = b.lo;
    tile_b[t / 16u * 32u + 16u + j] = b.hi;
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
    for (var q = 0u; q < 4u; q++) {
      let b0 = tile_b[q * 64u + j];
      let b1 = tile_b[q * 64u + 16u + j];
      let b2 = tile_b[q * 64u + 32u + j];
      let b3 = tile_b[q * 64u + 48u + j];
      for (var r = 0u; r < 8u; r++) {
        let v = tile_a[(i + r) * 4u + q];
        acc[r] += v.x * b0 + v.y * b1 + v.z * b2 + v.w * b3;
      }
    }
    workgroupBarrier();
  }
  let n = group.y * 64u + j * 4u;
  for (var r = 0u; r < 8u; r++) {
    if (first + i + r < total && n < p.outputs) {
      finish(acc[r], first + i + r, n);
    }
  }
}
