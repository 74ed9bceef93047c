// gemm.wgsl for software adapters whose subgroups are not of 8 lanes (SwiftShader). The idea: an invocation keeps 8 output
// pixels × its columns of a panel in registers, so that each value loaded serves several multiplications; no workgroup
// memory, whose barriers cost such adapters more than they save. Reads the pixels once a lane where gemm-cpu.wgsl shares them.
// On llvmpipe 6 to 25 times as fast as gemm.wgsl.

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

// include lib/gemm-octets.wgsl

// Rows k … k + 3 of all panels, this lane's columns.
fn quad(k: u32, lane: u32) -> array<V, 4> {
  let i = k * 8u + lane;
  return array<V, 4>(w[i], w[i + 8u], w[i + 16u], w[i + 24u]);
}

// The columns of a lane as the first of four.
fn spread(v: V) -> vec4<f32> {
  return v;
}

// What follows the sum of COLUMNS columns from n on, see lib/finish.wgsl.
fn finish(sum: vec4<f32>, row: u32, n: u32, split: u32) {
  y[p.y_start + row * p.outputs + n] = T(sum.x);
}

@compute @workgroup_size(8, 4)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let lane = local.x;
  let first = ((group.x + group.z * p.groups_x) * 4u + local.y) * 8u;
  let size = p.rows * p.width;
  let total = p.frames * size;
  let n = group.y * p.panel + lane * COLUMNS;
  if (first >= total || n >= p.outputs) {
    return;
  }
  var k = group.y * p.kernel_h * p.kernel_w * p.c_padded;
  var acc: array<V, 8>;
  for (var tap = 0u; tap < p.kernel_h * p.kernel_w; tap++) {
    var source: array<u32, 8>;
    var inside: array<f32, 8>;
    for (var r = 0u; r < 8u; r++) {
      let row = min(first + r, total - 1u);
      let iy = (row % size / p.width + p.first_row) * p.stride + tap / p.kernel_w - p.pad_top; // below 0 wraps
      let ix = row % p.width * p.stride + tap % p.kernel_w - p.pad_left;
      let line = row / size * p.bound_rows + iy * p.src_h / p.in_h - p.first_src;
      let ok = iy < p.in_h && ix < p.in_w;
      source[r] = select(0u, line * p.src_w + ix * p.src_w / p.in_w, ok);
      inside[r] = select(0.0, 1.0, ok);
    }
    for (var c = 0u; c < p.c_padded; c += 8u) {
      let lo = quad(k, lane);
      let hi = quad(k + 4u, lane);
      for (var r = 0u; r < 8u; r++) {
        var a = octet(p.x_start + source[r] * p.c1 + c, p.c1 - c);
        if (CONCAT && c >= p.c1) {
          a = octet2(p.x2_start + source[r] * p.c2 + c - p.c1, p.c1 + p.c2 - c);
        }
        let u = a.lo * inside[r];
        let v = a.hi * inside[r];
        acc[r] += u.x * lo[0] + u.y * lo[1] + u.z * lo[2] + u.w * lo[3]
          + v.x * hi[0] + v.y * hi[1] + v.z * hi[2] + v.w * hi[3];
      }
      k += 8u;
    }
  }
  for (var r = 0u; r < 8u; r++) {
    if (first + r < total) {
      finish(spread(acc[r]), first + r, n, 0u);
    }
  }
}
