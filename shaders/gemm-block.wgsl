// gemm.wgsl for software adapters whose subgroups are not of 8 lanes (SwiftShader), where a load costs as much as dozens of
// multiplications and an array indexed by a variable even more. The idea: four neighbouring lanes own 16 output pixels × one
// panel of columns in named registers, as outer products of four pixels and four columns. They read the same channel of a
// pixel at the same time, and neighbouring columns of the weights: a load is then one for all four of them.
// On SwiftShader 1.7 times as fast, for the demo as a whole, as 8 pixels × 4 columns a lane in arrays that read vectors.

alias T = f32; // activations
alias W = f32; // weights: f32, or u32 holding pairs of f16
const PANEL: u32 = 32u; // columns of a panel: 8, 16 or 32
const CONCAT: bool = false; // there is an x2
const GEGLU: bool = false; // columns come in pairs (value, gate)
const ACTIVATION: u32 = 0u; // see lib/activations.wgsl

// include lib/gemm-params.wgsl
@group(0) @binding(5) var<storage, read> x: array<T>;
@group(0) @binding(6) var<storage, read> x2: array<T>;
@group(0) @binding(7) var<storage, read> w: array<W>;

// Row k of all panels, column n.
fn weight(k: u32, n: u32) -> f32 {
  return w[k * PANEL + n];
}

// see lib/activations.wgsl
fn activate(v: f32, kind: u32) -> f32 { return v; }

// Row k of all panels, every fourth column from n on.
fn columns(k: u32, n: u32) -> vec4<f32> {
  if (PANEL == 8u) {
    return vec4<f32>(weight(k, n), weight(k, n + 4u), 0.0, 0.0);
  }
  return vec4<f32>(weight(k, n), weight(k, n + 4u), weight(k, n + 8u), weight(k, n + 12u));
}

// Columns are those of the pixels.
fn outer(pixel: vec4<f32>, column: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(column * pixel.x, column * pixel.y, column * pixel.z, column * pixel.w);
}

// a / b by way of floats, corrected by one: software adapters divide integers lane by lane.
fn quotient(a: vec4<u32>, b: u32) -> vec4<u32> {
  let q = vec4<u32>(vec4<f32>(a) / f32(b));
  let rest = vec4<i32>(a - q * b);
  return q + select(vec4<u32>(), vec4<u32>(1u), rest >= vec4<i32>(i32(b))) - select(vec4<u32>(), vec4<u32>(1u), rest < vec4<i32>());
}

// Four output pixels: the first element of their frames, and where the kernel begins.
struct Place {
  base: vec4<u32>,
  top: vec4<u32>, // below 0 wraps to a large number
  left: vec4<u32>,
}

fn place(first: u32, total: u32) -> Place {
  let row = min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(total - 1u));
  let frame = quotient(row, p.rows * p.width);
  let inside = row - frame * (p.rows * p.width);
  let line = quotient(inside, p.width);
  return Place(
    frame * p.bound_rows - p.first_src,
    (line + p.first_row) * p.stride - p.pad_top,
    (inside - line * p.width) * p.stride - p.pad_left,
  );
}

// The pixels of x that a tap reads, and 1 where they are inside of it, else 0.
struct Source {
  pixel: vec4<u32>,
  inside: vec4<f32>,
}

fn source(at: Place, tap_y: u32, tap_x: u32) -> Source {
  var iy = at.top + tap_y;
  var ix = at.left + tap_x;
  let inside = (iy < vec4<u32>(p.in_h)) & (ix < vec4<u32>(p.in_w));
  if (p.src_h != p.in_h) {
    iy = quotient(iy * p.src_h, p.in_h);
  }
  if (p.src_w != p.in_w) {
    ix = quotient(ix * p.src_w, p.in_w);
  }
  return Source(select(vec4<u32>(), (at.base + iy) * p.src_w + ix, inside), select(vec4<f32>(), vec4<f32>(1.0), inside));
}

// What follows the sum of one column.
fn finish(sum: f32, row: u32, n: u32) {
  var v = sum;
  var o = n;
  let width = select(p.outputs, p.outputs / 2u, GEGLU);
  if (GEGLU) {
    o = n / 2u;
    v += select(0.0, bias[min(o + (n % 2u) * width, p.outputs - 1u)], p.has_bias == 1u);
    v *= activate(subgroupShuffleXor(v, 1u), 2u); // of the even lanes: their neighbours hold the gates
  } else {
    if (p.has_bias == 1u) {
      v += bias[min(n, width - 1u)];
    }
    if (p.frames_per_bias > 0u) {
      let frame = quotient(vec4<u32>(row), p.rows * p.width).x;
      v += f32(row_bias[(p.first_frame + frame) / p.frames_per_bias * width + min(n, width - 1u)]);
    }
    v = activate(v, ACTIVATION);
  }
  if (n < p.outputs && !(GEGLU && n % 2u == 1u)) {
    let at = row * width + o;
    if (p.has_residual == 1u) {
      v += f32(residual[p.residual_start + at]);
    }
    y[p.y_start + at] = T(v);
  }
}

// Channel c of four pixels, 0 outside of x.
fn pixels(s: Source, c: u32) -> vec4<f32> {
  if (CONCAT && c >= p.c1) {
    let at = p.x2_start + s.pixel * p.c2 + c - p.c1;
    return vec4<f32>(vec4<T>(x2[at.x], x2[at.y], x2[at.z], x2[at.w])) * s.inside;
  }
  let at = p.x_start + s.pixel * p.c1 + c;
  return vec4<f32>(vec4<T>(x[at.x], x[at.y], x[at.z], x[at.w])) * s.inside;
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first = (group.x + group.z * p.groups_x) * 16u;
  let total = p.frames * p.rows * p.width;
  if (first >= total) {
    return;
  }
  let place0 = place(first, total);
  let place1 = place(first + 4u, total);
  let place2 = place(first + 8u, total);
  let place3 = place(first + 12u, total);
  // Sums of four pixels × four of the lane's columns; b: the second half of a panel of 32.
  var a0: mat4x4<f32>;
  var a1: mat4x4<f32>;
  var a2: mat4x4<f32>;
  var a3: mat4x4<f32>;
  var b0: mat4x4<f32>;
  var b1: mat4x4<f32>;
  var b2: mat4x4<f32>;
  var b3: mat4x4<f32>;
  let matrix = min(first / (p.rows * p.width), p.matrices - 1u);
  var k = (group.y * p.matrices + matrix) * p.kernel_h * p.kernel_w * p.c_padded;
  for (var tap_y = 0u; tap_y < p.kernel_h; tap_y++) {
    for (var tap_x = 0u; tap_x < p.kernel_w; tap_x++) {
      let s0 = source(place0, tap_y, tap_x);
      let s1 = source(place1, tap_y, tap_x);
      let s2 = source(place2, tap_y, tap_x);
      let s3 = source(place3, tap_y, tap_x);
      for (var c = 0u; c < p.c1 + p.c2; c++) {
        let v0 = pixels(s0, c);
        let v1 = pixels(s1, c);
        let v2 = pixels(s2, c);
        let v3 = pixels(s3, c);
        let lo = columns(k + c, lane);
        a0 += outer(v0, lo);
        a1 += outer(v1, lo);
        a2 += outer(v2, lo);
        a3 += outer(v3, lo);
        if (PANEL == 32u) {
          let hi = columns(k + c, lane + 16u);
          b0 += outer(v0, hi);
          b1 += outer(v1, hi);
          b2 += outer(v2, hi);
          b3 += outer(v3, hi);
        }
      }
      k += p.c_padded;
    }
  }
  // Into memory once, where a variable may index them. Bounds unknown to compilers keep them from unrolling this.
  let sums = array<mat4x4<f32>, 8>(a0, a1, a2, a3, b0, b1, b2, b3);
  let count = min(16u, total - first);
  for (var n = 0u; n < p.panel; n += 16u) {
    for (var r = 0u; r < count; r++) {
      let v = sums[n / 4u + r / 4u][r % 4u];
      let column = group.y * PANEL + n + lane;
      finish(v.x, first + r, column);
      finish(v.y, first + r, column + 4u);
      if (PANEL >= 16u) {
        finish(v.z, first + r, column + 8u);
        finish(v.w, first + r, column + 12u);
      }
    }
  }
}
