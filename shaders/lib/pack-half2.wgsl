// Two values as f16 in one word, rounded to nearest.
fn pack(v: F) -> V {
  return pack2x16float(v);
}
