// Activations as pairs of f16, four words a load.
fn octet(i: u32, left: u32) -> Octet {
  let v = x[i / 8u];
  return Octet(
    vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y)),
    vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w)),
  );
}
