// Activations as pairs of f16, two words a load.
fn four(i: u32, left: u32) -> vec4<f32> {
  let v = x[i / 4u];
  return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
