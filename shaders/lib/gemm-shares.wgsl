// Rows of the packed weights, under all taps.
fn depth() -> u32 {
  return p.kernel_h * p.kernel_w * p.c_padded;
}

// Rows of the weights that share `split` of the sum begins with, and ends before.
fn share_of(split: u32) -> vec2<u32> {
  let rows = ((depth() + STEP - 1u) / STEP + p.splits - 1u) / p.splits * STEP;
  return vec2<u32>(split * rows, min((split + 1u) * rows, depth()));
}
