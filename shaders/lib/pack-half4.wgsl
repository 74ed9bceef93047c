// Four values as f16 in two words, rounded to nearest.
fn pack(v: vec4f) -> vec2<u32> {
  return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));
}
