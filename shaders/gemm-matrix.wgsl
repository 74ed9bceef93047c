// gemm.wgsl for tensor cores. The idea: a workgroup's four subgroups own a square of outputs each, SIDE × SIDE blocks of
// 16 × 16, whose sums stay in the matrix units' registers; 32 channels at a time of all their pixels and weights pass through
// workgroup memory as f16, and each block that is read from there is multiplied SIDE times. The next channels are on their way
// while the present ones are multiplied. For f16 activations and weights, channels of each source in multiples of 32 and outputs
// of 4; sums in f32. SIDE 4 (128 × 128 outputs, 34.5 KiB) multiplies most for what it reads, SIDE 2 (64 × 64, 17.5 KiB) makes
// four times as many workgroups.
enable chromium_experimental_subgroup_matrix;
// Offsets depend on t / 32 alone, equal in all lanes of a subgroup, which the compiler cannot know.
diagnostic(off, chromium.subgroup_matrix_uniformity);

alias T = vec4<f16>; // four activations
const CONCAT: bool = false; // there is an x2
const GEGLU: bool = false; // columns come in pairs (value, gate)
const ACTIVATION: u32 = 0u; // see lib/activations.wgsl
const SIDE: u32 = 4u; // 2 | 4
const PANEL: u32 = 32u; // columns of a panel of packed weights

// include lib/gemm-params.wgsl
@group(0) @binding(5) var<storage, read> x: array<vec4<u32>>; // eight channels
@group(0) @binding(6) var<storage, read> x2: array<vec4<u32>>;
@group(0) @binding(7) var<storage, read> w: array<vec4<u32>>; // four columns of rows k and k + 1

const TILE: u32 = SIDE * 32u; // rows, and columns, of a workgroup
const STEP: u32 = 32u; // channels
// Vectors from row to row in workgroup memory: two more than a row has, so that eight rows lie in different banks.
const PITCH_A: u32 = STEP / 4u + 2u;
const PITCH_B: u32 = TILE / 4u + 2u;
const PITCH_S: u32 = SIDE * 4u;
const SPAN: u32 = SIDE * 8u; // channels that an invocation brings, of one pixel

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

var<workgroup> tile_a: array<vec4<f16>, TILE * PITCH_A>; // [row][channel / 4]
var<workgroup> tile_b: array<vec4<f16>, STEP * PITCH_B>; // [channel][column / 4]
var<workgroup> sums: array<vec4<f32>, 64u * PITCH_S>; // [subgroup][row of a row of blocks][column / 4]

// What follows the sums of eight columns from n on, see lib/finish-octet.wgsl; for shares of them see lib/finish-octet-share.wgsl.
fn finish(lo: vec4<f32>, hi: vec4<f32>, row: u32, n: u32, split: u32) {
  y[(p.y_start + row * p.outputs + n) / 4u] = T(lo);
}

// include lib/gemm-shares.wgsl
// include lib/gemm-source.wgsl

// Eight channels of a pixel from `c` of the step on.
fn pixels(s: Source, c: u32) -> vec4<u32> {
  if (!s.valid) {
    return vec4<u32>();
  }
  if (CONCAT && s.c >= p.c1) {
    return x2[(s.at2 + s.c - p.c1 + c) / 8u];
  }
  return x[(s.at + s.c + c) / 8u];
}

// Columns n … n + 3 of rows k and k + 1.
fn weights(panel: u32, k: u32, n: u32) -> vec4<u32> {
  if (n < p.outputs) {
    return w[((panel + k) / 2u * PANEL + n % PANEL) / 4u];
  }
  return vec4<u32>();
}

fn stage_a(at: u32, v: vec4<u32>) {
  tile_a[at] = bitcast<vec4<f16>>(v.xy);
  tile_a[at + 1u] = bitcast<vec4<f16>>(v.zw);
}

fn stage_b(at: u32, v: vec4<u32>) {
  let a = bitcast<vec4<f16>>(v.xy);
  let b = bitcast<vec4<f16>>(v.zw);
  tile_b[at] = vec4<f16>(a.xz, b.xz);
  tile_b[at + PITCH_B] = vec4<f16>(a.yw, b.yw);
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let split = group.z % p.splits;
  let first = (group.x + group.z / p.splits * p.groups_x) * TILE;
  let columns = group.y * TILE;
  let total = p.frames * p.rows * p.width;
  let share = share_of(split);

  // What it brings: SPAN channels of a pixel, and four columns of SIDE pairs of rows of the weights.
  let row = t * SPAN / STEP;
  let c = t * SPAN % STEP;
  var s = source(first + row, share.x);
  let column = t % (TILE / 4u);
  let pair = t / (TILE / 4u);
  const PAIRS = 512u / TILE; // of all invocations at once
  let n = columns + column * 4u;
  let panel = (n / PANEL * p.matrices + min(first / (p.rows * p.width), p.matrices - 1u)) * depth();
  var a: array<vec4<u32>, SIDE>; // registers
  var b: array<vec4<u32>, SIDE>; // registers
  for (var i = 0u; i < SIDE; i++) { // unroll
    a[i] = pixels(s, c + i * 8u);
    b[i] = weights(panel, share.x + 2u * (pair + i * PAIRS), n);
  }

  // This subgroup's corner, and its sums.
  let i0 = t / 64u * 16u * SIDE;
  let j0 = t / 32u % 2u * 16u * SIDE;
  var acc: array<Sum, SIDE * SIDE>; // registers
  for (var k = share.x; k < share.y; k += STEP) {
    for (var i = 0u; i < SIDE; i++) { // unroll
      stage_a(row * PITCH_A + c / 4u + i * 2u, a[i]);
      stage_b(2u * (pair + i * PAIRS) * PITCH_B + column, b[i]);
    }
    workgroupBarrier();
    if (k + STEP < share.y) {
      advance(&s);
      for (var i = 0u; i < SIDE; i++) { // unroll
        a[i] = pixels(s, c + i * 8u);
        b[i] = weights(panel, k + STEP + 2u * (pair + i * PAIRS), n);
      }
    }
    for (var q = 0u; q < STEP / 16u; q++) { // unroll
      var left: array<Left, SIDE>; // registers
      for (var i = 0u; i < SIDE; i++) { // unroll
        left[i] = subgroupMatrixLoad<Left, row_major>(&tile_a, (i0 + i * 16u) * PITCH_A + q * 4u, PITCH_A);
      }
      for (var j = 0u; j < SIDE; j++) { // unroll
        let right = subgroupMatrixLoad<Right, row_major>(&tile_b, q * 16u * PITCH_B + j0 / 4u + j * 4u, PITCH_B);
        for (var i = 0u; i < SIDE; i++) { // unroll
          acc[i * SIDE + j] = subgroupMatrixMultiplyAccumulate(left[i], right, acc[i * SIDE + j]);
        }
      }
    }
    workgroupBarrier();
  }

  // A row of blocks after the other through workgroup memory: a lane takes eight columns of SIDE rows.
  let lane = t % 32u;
  let own = t / 32u * 16u * PITCH_S;
  let m = columns + j0 + lane % (SIDE * 2u) * 8u;
  for (var i = 0u; i < SIDE; i++) { // unroll
    for (var j = 0u; j < SIDE; j++) { // unroll
      subgroupMatrixStore<row_major>(&sums, own + j * 4u, acc[i * SIDE + j], PITCH_S);
    }
    workgroupBarrier();
    for (var e = 0u; e < SIDE; e++) { // unroll
      let r = lane / (SIDE * 2u) + e * 16u / SIDE;
      let at = first + i0 + i * 16u + r;
      if (at < total && m < p.outputs) {
        let v = own + r * PITCH_S + lane % (SIDE * 2u) * 2u;
        finish(sums[v], sums[v + 1u], at, m, split);
      }
    }
    workgroupBarrier();
  }
}
