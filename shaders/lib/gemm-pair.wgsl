// Four columns of rows k and k + 1 (k even) of the panel that begins at row `panel`, as two vectors.
fn pair(panel: u32, k: u32, column: u32) -> Octet {
  let i = ((panel + k) * p.panel + column) / 4u;
  return Octet(w[i], w[i + p.panel / 4u]);
}
