// Where an invocation reads a pixel's channels, where those of each source are whole steps: a step then lies under one tap,
// and places are computed anew only where the tap changes.
struct Source {
  frame: u32,
  oy: u32,
  ox: u32,
  inside: bool, // the row is one of the output's
  tap: u32,
  c: u32, // first channel of the step
  valid: bool, // the tap lies on the picture
  at: u32, // element of x …
  at2: u32, // … and of x2 where the pixel begins
}

// Of an output row, for a sum that begins at row `start` of the weights.
fn source(row: u32, start: u32) -> Source {
  let size = p.rows * p.width;
  var s = Source(
    row / size,
    (row % size / p.width + p.first_row) * p.stride - p.pad_top, // below 0 wraps to a large number
    row % p.width * p.stride - p.pad_left,
    row < p.frames * size,
    start / p.c_padded,
    start % p.c_padded,
    false,
    0u,
    0u,
  );
  locate(&s);
  return s;
}

fn locate(s: ptr<function, Source>) {
  let iy = (*s).oy + (*s).tap / p.kernel_w;
  let ix = (*s).ox + (*s).tap % p.kernel_w;
  (*s).valid = (*s).inside && (*s).tap < p.kernel_h * p.kernel_w && iy < p.in_h && ix < p.in_w;
  let row = (*s).frame * p.bound_rows + iy * p.src_h / p.in_h - p.first_src;
  let pixel = row * p.src_w + ix * p.src_w / p.in_w;
  (*s).at = p.x_start + pixel * p.c1;
  (*s).at2 = p.x2_start + pixel * p.c2;
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
