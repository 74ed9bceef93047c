// What follows the sum of COLUMNS columns from n on: bias, activation, residual.
fn finish(sum: vec4<f32>, row: u32, n: u32, split: u32) {
  var v = sum;
  let width = select(p.outputs, p.outputs / 2u, GEGLU);
  var o = n;
  var count = COLUMNS;
  if (GEGLU) {
    o = n / 2u;
    count = 2u;
    if (p.has_bias == 1u) {
      v += vec4<f32>(bias[o], bias[width + o], bias[o + 1u], bias[width + o + 1u]);
    }
    v = vec4<f32>(v.x * activate(v.y, 2u), v.z * activate(v.w, 2u), 0.0, 0.0);
  } else {
    if (p.has_bias == 1u) {
      for (var i = 0u; i < COLUMNS; i++) {
        v[i] += bias[min(n + i, width - 1u)];
      }
    }
    if (p.frames_per_bias > 0u) {
      let at = (p.first_frame + row / (p.rows * p.width)) / p.frames_per_bias * width;
      for (var i = 0u; i < COLUMNS; i++) {
        v[i] += f32(row_bias[at + min(n + i, width - 1u)]);
      }
    }
    for (var i = 0u; i < COLUMNS; i++) {
      v[i] = activate(v[i], ACTIVATION);
    }
  }
  for (var i = 0u; i < count; i++) {
    if (o + i < width) {
      let at = row * width + o + i;
      var result = v[i];
      if (p.has_residual == 1u) {
        result += f32(residual[p.residual_start + at]);
      }
      y[p.y_start + at] = T(result);
    }
  }
}
