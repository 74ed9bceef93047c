// quad-f16 for two columns a lane.
fn quad(k: u32, lane: u32) -> array<V, 4> {
  let i = k / 2u * 8u + lane;
  let u = w[i];
  let v = w[i + 8u];
  let a = vec4<f32>(unpack2x16float(u.x), unpack2x16float(u.y));
  let b = vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
  return array<V, 4>(a.xz, a.yw, b.xz, b.yw);
}
