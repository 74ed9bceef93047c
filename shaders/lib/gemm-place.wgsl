// Where an output row reads: the pixel under each tap of the kernel.

struct Place {
  frame: u32,
  oy: u32, // of the kernel's first tap; below 0 wraps to a large number
  ox: u32,
  inside: bool, // the row is one of the output's
}

struct Pixel {
  valid: bool, // the tap lies on the picture
  index: u32, // of the pixel in memory
}

fn place_of(row: u32) -> Place {
  let size = p.rows * p.width;
  return Place(
    row / size,
    (row % size / p.width + p.first_row) * p.stride - p.pad_top,
    row % p.width * p.stride - p.pad_left,
    row < p.frames * size,
  );
}

fn under(place: Place, tap: u32) -> Pixel {
  let iy = place.oy + tap / p.kernel_w;
  let ix = place.ox + tap % p.kernel_w;
  let row = place.frame * p.bound_rows + iy * p.src_h / p.in_h - p.first_src;
  return Pixel(
    place.inside && tap < p.kernel_h * p.kernel_w && iy < p.in_h && ix < p.in_w,
    row * p.src_w + ix * p.src_w / p.in_w,
  );
}
