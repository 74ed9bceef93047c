// What the tiles of gemm-gpu are read from: pixels under the kernel, and packed weights.

// include lib/gemm-shares.wgsl

// include lib/gemm-pair.wgsl

// include lib/gemm-place.wgsl

fn channels(place: Place, tap: u32, c: u32) -> Octet {
  let pixel = under(place, tap);
  if (!pixel.valid) {
    return Octet();
  }
  if (CONCAT && c >= p.c1) {
    return octet2(p.x2_start + pixel.index * p.c2 + c - p.c1, p.c1 + p.c2 - c);
  }
  return octet(p.x_start + pixel.index * p.c1 + c, p.c1 - c);
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
  let size = p.rows * p.width;
  let place = place_of(first + t / 2u);
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
