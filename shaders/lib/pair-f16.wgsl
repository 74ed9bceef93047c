// Weights as pairs of f16 along k: one load brings both rows.
fn pair(panel: u32, k: u32, column: u32) -> Octet {
  let v = w[((panel + k) / 2u * p.panel + column) / 4u];
  let a = vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
  let b = vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w));
  return Octet(vec4<f32>(a.xz, b.xz), vec4<f32>(a.yw, b.yw));
}
