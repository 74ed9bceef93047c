// G times a column of the kernel, without the third point and with twice the second (see lib/winograd-forward-doubled.wgsl).
fn spread(g: array<f32, 3>) -> array<f32, SIDE> {
  return array<f32, SIDE>(g[0], g[0] + g[2] + g[1], g[2]);
}
