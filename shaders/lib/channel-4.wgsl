// One channel of a unit of four.
fn channel(v: vec4f, i: u32) -> f32 { return v[i]; }
