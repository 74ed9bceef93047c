// One column a lane.
fn spread(v: V) -> vec4<f32> {
  return vec4<f32>(v, 0.0, 0.0, 0.0);
}
