// Where an invocation reads a pixel's channels, where those of each source are whole steps: a step then lies under one tap,
// and the pixel is found anew only where the tap changes.

// include lib/gemm-place.wgsl

struct Source {
  place: Place,
  tap: u32,
  c: u32, // first channel of the step
  valid: bool, // the tap lies on the picture
  at: u32, // element of x …
  at2: u32, // … and of x2 where the pixel begins
}

// Of an output row, for a sum that begins at row `start` of the weights.
fn source(row: u32, start: u32) -> Source {
  var s = Source(place_of(row), start / p.c_padded, start % p.c_padded, false, 0u, 0u);
  locate(&s);
  return s;
}

fn locate(s: ptr<function, Source>) {
  let pixel = under((*s).place, (*s).tap);
  (*s).valid = pixel.valid;
  (*s).at = p.x_start + pixel.index * p.c1;
  (*s).at2 = p.x2_start + pixel.index * p.c2;
}

// On to the next step.
fn advance(s: ptr<function, Source>) {
  (*s).c += STEP;
  if ((*s).c >= p.c_padded) {
    (*s).c = 0u;
    (*s).tap++;
    locate(s);
  }
}
