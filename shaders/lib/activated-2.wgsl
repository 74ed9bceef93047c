// activated-1 for two values.
fn activated(v: F) -> F {
  return F(activate(v.x, ACTIVATION), activate(v.y, ACTIVATION));
}
