// Any number of channels, one value a load; channels beyond the pixel's last are 0.
fn octet(i: u32, left: u32) -> Octet {
  var v: array<f32, 8>;
  for (var e = 0u; e < 8u; e++) {
    v[e] = select(0.0, f32(x[i + e]), e < left);
  }
  return Octet(vec4<f32>(v[0], v[1], v[2], v[3]), vec4<f32>(v[4], v[5], v[6], v[7]));
}
