// Any number of channels, one value a load; channels beyond the pixel's last are 0.
fn four(i: u32, left: u32) -> vec4<f32> {
  var v: vec4<f32>;
  for (var e = 0u; e < 4u; e++) {
    v[e] = select(0.0, f32(x[i + e]), e < left);
  }
  return v;
}
