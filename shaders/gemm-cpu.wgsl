// gemm.wgsl for software adapters with subgroups of 8 (llvmpipe), where a load costs as much as a dozen multiplications.
// The idea: no value is loaded twice. A subgroup owns 16 output pixels × one panel of columns; a lane loads 4 channels of
// "its" pixels and its own columns of the weights, and shuffles hand the pixels' values round. Everything else stays in
// registers. On llvmpipe some twice as fast as gemm-block.wgsl, and with f16 weights twice as fast again as with f32.
enable subgroups;

alias T = f32; // activations
alias X = vec4<f32>; // unit in which x is read
alias W = vec4<f32>; // unit in which weights are read
alias V = vec4<f32>; // columns of a lane: panel / 8
const COLUMNS: u32 = 4u;
const CONCAT: bool = false; // there is an x2
const GEGLU: bool = false; // columns come in pairs (value, gate)
const ACTIVATION: u32 = 0u; // see lib/activations.wgsl

// include lib/gemm-params.wgsl
@group(0) @binding(5) var<storage, read> x: array<X>;
@group(0) @binding(6) var<storage, read> x2: array<X>;
@group(0) @binding(7) var<storage, read> w: array<W>;

// Four channels of a pixel, at element i; `left` channels of the pixel remain.
fn four(i: u32, left: u32) -> vec4<f32> {
  return x[i / 4u];
}

fn four2(i: u32, left: u32) -> vec4<f32> {
  return x2[i / 4u];
}

// Rows k … k + 3 of all panels, this lane's columns.
fn quad(k: u32, lane: u32) -> array<V, 4> {
  let i = k * 8u + lane;
  return array<V, 4>(w[i], w[i + 8u], w[i + 16u], w[i + 24u]);
}

// The columns of a lane as the first of four.
fn spread(v: V) -> vec4<f32> {
  return v;
}

// acc[r] += a(lane r) · b for four k
fn multiply(acc: ptr<function, array<V, 8>>, a: vec4<f32>, b: array<V, 4>) {
  for (var r = 0u; r < 8u; r++) {
    var sum = (*acc)[r];
    sum = fma(V(subgroupShuffle(a.x, r)), b[0], sum);
    sum = fma(V(subgroupShuffle(a.y, r)), b[1], sum);
    sum = fma(V(subgroupShuffle(a.z, r)), b[2], sum);
    sum = fma(V(subgroupShuffle(a.w, r)), b[3], sum);
    (*acc)[r] = sum;
  }
}

// a / b by way of floats, corrected by one: software adapters divide integers lane by lane.
fn quotient(a: vec2<u32>, b: u32) -> vec2<u32> {
  let q = vec2<u32>(vec2<f32>(a) / f32(b));
  let rest = vec2<i32>(a - q * b);
  return q + select(vec2<u32>(), vec2<u32>(1u), rest >= vec2<i32>(i32(b))) - select(vec2<u32>(), vec2<u32>(1u), rest < vec2<i32>());
}

// What follows the sum of COLUMNS columns from n on, see lib/finish.wgsl.
fn finish(sum: vec4<f32>, row: u32, n: u32, split: u32) {
  y[p.y_start + row * p.outputs + n] = T(sum.x);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first = (group.x + group.z * p.groups_x) * 16u;
  let size = p.rows * p.width;
  let total = p.frames * size;
  if (first >= total) {
    return;
  }
  let row = min(vec2<u32>(first + lane, first + lane + 8u), vec2<u32>(total - 1u));
  let frame = quotient(row, size);
  let pixel = row - frame * size;
  let line = quotient(pixel, p.width);
  let oy = (line + p.first_row) * p.stride - p.pad_top; // below 0 wraps to a large number
  let ox = (pixel - line * p.width) * p.stride - p.pad_left;
  var k = (group.y * p.matrices + min(frame.x, p.matrices - 1u)) * p.kernel_h * p.kernel_w * p.c_padded;
  var acc0: array<V, 8>;
  var acc1: array<V, 8>;
  for (var tap = 0u; tap < p.kernel_h * p.kernel_w; tap++) {
    let iy = oy + tap / p.kernel_w;
    let ix = ox + tap % p.kernel_w;
    let inside = vec2<f32>((iy < vec2<u32>(p.in_h)) & (ix < vec2<u32>(p.in_w)));
    let source = select(vec2<u32>(), (frame * p.bound_rows + quotient(iy * p.src_h, p.in_h) - p.first_src) * p.src_w + quotient(ix * p.src_w, p.in_w), inside > vec2<f32>());
    for (var c = 0u; c < p.c_padded; c += 4u) {
      var a0 = four(p.x_start + source.x * p.c1 + c, p.c1 - c);
      var a1 = four(p.x_start + source.y * p.c1 + c, p.c1 - c);
      if (CONCAT && c >= p.c1) {
        a0 = four2(p.x2_start + source.x * p.c2 + c - p.c1, p.c1 + p.c2 - c);
        a1 = four2(p.x2_start + source.y * p.c2 + c - p.c1, p.c1 + p.c2 - c);
      }
      let b = quad(k, lane);
      multiply(&acc0, a0 * inside.x, b);
      multiply(&acc1, a1 * inside.y, b);
      k += 4u;
    }
  }
  let n = group.y * p.panel + lane * COLUMNS;
  // Into memory once: sums that are indexed by a variable could not stay in registers through the loop above.
  var sums: array<V, 16>;
  for (var i = 0u; i < 8u; i++) {
    sums[i] = acc0[i];
    sums[i + 8u] = acc1[i];
  }
  let count = select(0u, min(16u, total - first), n < p.outputs);
  for (var r = 0u; r < count; r++) {
    finish(spread(sums[r]), first + r, n, 0u);
  }
}
