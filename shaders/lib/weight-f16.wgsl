// Weights as pairs of f16 along k.
fn weight(k: u32, n: u32) -> f32 {
  let pair = unpack2x16float(w[k / 2u * PANEL + n]);
  return select(pair.x, pair.y, k % 2u == 1u);
}
