// four-any for the second source.
fn four2(i: u32, left: u32) -> vec4<f32> {
  var v: vec4<f32>;
  for (var e = 0u; e < 4u; e++) {
    v[e] = select(0.0, f32(x2[i + e]), e < left);
  }
  return v;
}
