// Four f16 from two words: one load for two values, and core WGSL on devices that cannot compute in f16.
fn unpack(v: vec2<u32>) -> vec4f {
  return vec4f(unpack2x16float(v.x), unpack2x16float(v.y));
}
