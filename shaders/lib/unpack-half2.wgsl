// Two f16 from one word.
fn unpack(v: V) -> F {
  return unpack2x16float(v);
}
