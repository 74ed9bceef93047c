// octet-f16 for the second source.
fn octet2(i: u32, left: u32) -> Octet {
  let v = x2[i / 8u];
  return Octet(
    vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y)),
    vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w)),
  );
}
