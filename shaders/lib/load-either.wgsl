// A unit of the second source, or of the first: their channels lie beside each other in y.
fn load(second: bool, at: u32) -> F {
  if (second) {
    return unpack(x2[at]);
  }
  return unpack(x[at]);
}
