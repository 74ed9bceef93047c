// four-f16 for the second source.
fn four2(i: u32, left: u32) -> vec4<f32> {
  let v = x2[i / 4u];
  return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
