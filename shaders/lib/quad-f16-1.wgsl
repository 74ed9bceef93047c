// quad-f16 for one column a lane.
fn quad(k: u32, lane: u32) -> array<V, 4> {
  let i = k / 2u * 8u + lane;
  let a = unpack2x16float(w[i]);
  let b = unpack2x16float(w[i + 8u]);
  return array<V, 4>(a.x, a.y, b.x, b.y);
}
