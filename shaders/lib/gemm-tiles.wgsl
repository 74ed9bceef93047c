// What the tiles of gemm-gpu are read from: pixels under the kernel, and packed weights.

// include lib/gemm-shares.wgsl

// include lib/gemm-pair.wgsl

// Where an output pixel begins to read.
struct Place {
  frame: u32,
  oy: u32,
  ox: u32,
  inside: bool,
}

fn channels(place: Place, tap: u32, c: u32) -> Octet {
  let iy = place.oy + tap / p.kernel_w;
  let ix = place.ox + tap % p.kernel_w;
  if (!place.inside || tap >= p.kernel_h * p.kernel_w || iy >= p.in_h || ix >= p.in_w) {
    return Octet();
  }
  let row = place.frame * p.bound_rows + iy * p.src_h / p.in_h - p.first_src;
  let source = row * p.src_w + ix * p.src_w / p.in_w;
  if (CONCAT && c >= p.c1) {
    return octet2(p.x2_start + source * p.c2 + c - p.c1, p.c1 + p.c2 - c);
  }
  return octet(p.x_start + source * p.c1 + c, p.c1 - c);
}

// What an invocation brings to the tiles of each step: eight channels of one pixel, and four columns of two channels' weights.
struct Feed {
  place: Place,
  column: u32,
  panel: u32, // first row of the column's panel
  tap: u32,
  c: u32,
  k: u32,
}

// Invocation t's, for pixels from `first` and columns from `columns` on, of a sum that begins at row `start` of the weights.
fn feed(first: u32, columns: u32, start: u32, t: u32) -> Feed {
  let row = first + t / 2u;
  let size = p.rows * p.width;
  let place = Place(
    row / size,
    (row % size / p.width + p.first_row) * p.stride - p.pad_top, // below 0 wraps to a large number
    row % p.width * p.stride - p.pad_left,
    row < p.frames * size,
  );
  let column = columns + t % 16u * 4u;
  let c = start + t % 2u * 8u;
  let panel = (column / p.panel * p.matrices + min(first / size, p.matrices - 1u)) * depth();
  return Feed(place, column, panel, c / p.c_padded, c % p.c_padded, start + t / 16u * 2u);
}

fn advance(f: ptr<function, Feed>) {
  (*f).c += STEP;
  while ((*f).c >= p.c_padded) {
    (*f).c -= p.c_padded;
    (*f).tap++;
  }
  (*f).k += STEP;
}

fn pixels(f: Feed) -> Octet {
  return channels(f.place, f.tap, f.c);
}

fn weights(f: Feed) -> Octet {
  if (f.k < depth() && f.column < p.outputs) {
    return pair(f.panel, f.k, f.column % p.panel);
  }
  return Octet();
}
