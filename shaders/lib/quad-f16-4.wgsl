// Weights as pairs of f16 along k: one load brings two rows.
fn quad(k: u32, lane: u32) -> array<V, 4> {
  let i = k / 2u * 8u + lane;
  let u = w[i];
  let v = w[i + 8u];
  let a = array<vec2<f32>, 4>(unpack2x16float(u.x), unpack2x16float(u.y), unpack2x16float(u.z), unpack2x16float(u.w));
  let b = array<vec2<f32>, 4>(unpack2x16float(v.x), unpack2x16float(v.y), unpack2x16float(v.z), unpack2x16float(v.w));
  return array<V, 4>(
    vec4<f32>(a[0].x, a[1].x, a[2].x, a[3].x),
    vec4<f32>(a[0].y, a[1].y, a[2].y, a[3].y),
    vec4<f32>(b[0].x, b[1].x, b[2].x, b[3].x),
    vec4<f32>(b[0].y, b[1].y, b[2].y, b[3].y),
  );
}
