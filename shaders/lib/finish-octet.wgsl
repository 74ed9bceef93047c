// What follows the sums of eight columns from n on: bias, activation, residual. For outputs in multiples of 4.
fn finish(lo: vec4<f32>, hi: vec4<f32>, row: u32, n: u32, split: u32) {
  if (GEGLU) {
    let o = n / 2u;
    let width = p.outputs / 2u;
    var value = vec4<f32>(lo.xz, hi.xz);
    var gate = vec4<f32>(lo.yw, hi.yw);
    if (p.has_bias == 1u) {
      value += biases(o);
      gate += biases(width + o);
    }
    put((row * width + o) / 4u, value * activate4(gate, 2u));
    return;
  }
  four(lo, row, n);
  if (n + 4u < p.outputs) {
    four(hi, row, n + 4u);
  }
}

fn four(sum: vec4<f32>, row: u32, n: u32) {
  var v = sum;
  if (p.has_bias == 1u) {
    v += biases(n);
  }
  if (p.frames_per_bias > 0u) {
    let entry = (p.first_frame + row / (p.rows * p.width)) / p.frames_per_bias;
    v += vec4<f32>(row_bias[(entry * p.outputs + n) / 4u]);
  }
  put((row * p.outputs + n) / 4u, activate4(v, ACTIVATION));
}

fn biases(n: u32) -> vec4<f32> {
  return vec4<f32>(bias[n], bias[n + 1u], bias[n + 2u], bias[n + 3u]);
}

// Four outputs, with the residual.
fn put(at: u32, v: vec4<f32>) {
  var result = v;
  if (p.has_residual == 1u) {
    result += vec4<f32>(residual[p.residual_start / 4u + at]);
  }
  y[p.y_start / 4u + at] = T(result);
}

fn activate4(v: vec4<f32>, kind: u32) -> vec4<f32> {
  if (kind == 0u) {
    return v;
  }
  return vec4<f32>(activate(v.x, kind), activate(v.y, kind), activate(v.z, kind), activate(v.w, kind));
}
