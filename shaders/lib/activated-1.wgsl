// The activation of one value, by number as in activations.wgsl.
fn activated(v: F) -> F {
  return activate(v, ACTIVATION);
}
