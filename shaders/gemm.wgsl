// Convolution over channels-last frames as one product of matrices (implicit GEMM), plainly: one invocation an output.
//   y[p, n] = act(Σ_tap Σ_c x[pixel(p, tap), c] · w[tap, c, n] + bias[n] + rowBias[frame(p), n]) + residual[p, n]
// A linear layer is the same with 1×1 pixels and one tap. `x` may be two tensors, channels side by side; nearest upsampling
// of x is folded into the reads. The readable reference; works for every shape.

alias T = f32; // activations
const GEGLU: bool = false; // columns come in pairs (value, gate): y = value · gelu(gate)

// include lib/gemm-params.wgsl
@group(0) @binding(5) var<storage, read> x: array<T>;
@group(0) @binding(6) var<storage, read> x2: array<T>;
@group(0) @binding(7) var<storage, read> w: array<u32>;

fn weight(frame: u32, k: u32, n: u32) -> f32 {
  let depth = p.kernel_h * p.kernel_w * p.c_padded;
  let panel = n / p.panel * p.matrices + min(frame, p.matrices - 1u);
  if (p.half_weights == 1u) {
    return unpack2x16float(w[(panel * (depth / 2u) + k / 2u) * p.panel + n % p.panel])[k % 2u];
  }
  return bitcast<f32>(w[(panel * depth + k) * p.panel + n % p.panel]);
}

fn column(frame: u32, oy: u32, ox: u32, n: u32) -> f32 {
  var sum = 0.0;
  for (var ky = 0u; ky < p.kernel_h; ky++) {
    for (var kx = 0u; kx < p.kernel_w; kx++) {
      let iy = oy * p.stride + ky - p.pad_top; // below 0 wraps to a large number
      let ix = ox * p.stride + kx - p.pad_left;
      if (iy >= p.in_h || ix >= p.in_w) {
        continue;
      }
      let row = iy * p.src_h / p.in_h - p.first_src;
      let pixel = (frame * p.bound_rows + row) * p.src_w + ix * p.src_w / p.in_w;
      let k = (ky * p.kernel_w + kx) * p.c_padded;
      for (var c = 0u; c < p.c1; c++) {
        sum += f32(x[p.x_start + pixel * p.c1 + c]) * weight(frame, k + c, n);
      }
      for (var c = 0u; c < p.c2; c++) {
        sum += f32(x2[p.x2_start + pixel * p.c2 + c]) * weight(frame, k + p.c1 + c, n);
      }
    }
  }
  if (p.frames_per_bias > 0u) {
    sum += f32(row_bias[(p.first_frame + frame) / p.frames_per_bias * p.outputs + n]);
  }
  return sum;
}

// see lib/activations.wgsl
fn activate(v: f32, kind: u32) -> f32 { return v; }

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x + id.z * p.groups_x * 8u;
  let width = select(p.outputs, p.outputs / 2u, GEGLU);
  let n = id.y;
  if (row >= p.frames * p.rows * p.width || n >= width) {
    return;
  }
  let frame = row / (p.rows * p.width);
  let oy = row / p.width % p.rows + p.first_row;
  let ox = row % p.width;
  var v = 0.0;
  if (GEGLU) {
    var value = column(frame, oy, ox, 2u * n);
    var gate = column(frame, oy, ox, 2u * n + 1u);
    if (p.has_bias == 1u) {
      value += bias[n];
      gate += bias[width + n];
    }
    v = value * activate(gate, 2u);
  } else {
    v = column(frame, oy, ox, n);
    if (p.has_bias == 1u) {
      v += bias[n];
    }
    v = activate(v, p.activation);
  }
  if (p.has_residual == 1u) {
    v += f32(residual[p.residual_start + row * width + n]);
  }
  y[p.y_start + row * width + n] = T(v);
}
