// activated-1 for four values.
fn activated(v: F) -> F {
  return F(activate(v.x, ACTIVATION), activate(v.y, ACTIVATION), activate(v.z, ACTIVATION), activate(v.w, ACTIVATION));
}
