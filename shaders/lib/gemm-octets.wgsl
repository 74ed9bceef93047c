// Reading of eight channels at a time, from one source and the other.

// Channels c … c + 7 of a pixel.
struct Octet {
  lo: vec4<f32>,
  hi: vec4<f32>,
}

// The octet at element i; `left` channels of the pixel remain.
fn octet(i: u32, left: u32) -> Octet {
  return Octet(x[i / 4u], x[i / 4u + 1u]);
}

fn octet2(i: u32, left: u32) -> Octet {
  return Octet(x2[i / 4u], x2[i / 4u + 1u]);
}
