// Aᵀ times a column of products of which the third is 0. Where the last row is cut off, its pixels are a, b, 0 and not
// a, b, b: what they multiply in excess is the last product.
fn back(m: array<F, SIDE>, cut: bool) -> array<F, 2> {
  return array<F, 2>(m[0] + m[1] - select(F(), m[2], cut), m[1] - m[2]);
}
