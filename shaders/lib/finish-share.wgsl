// A share of the sum of four columns from n on, apart from the others; gemm-sum.wgsl adds them up.
fn finish(sum: vec4<f32>, row: u32, n: u32, split: u32) {
  let pitch = (p.outputs + 3u) / 4u * 4u;
  let at = (split * p.frames * p.rows * p.width + row) * pitch + n;
  y[at] = sum.x;
  y[at + 1u] = sum.y;
  y[at + 2u] = sum.z;
  y[at + 3u] = sum.w;
}
