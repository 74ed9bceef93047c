// A share of the sums of eight columns from n on, apart from the others; gemm-sum.wgsl adds them up.
fn finish(lo: vec4<f32>, hi: vec4<f32>, row: u32, n: u32, split: u32) {
  let at = ((split * p.frames * p.rows * p.width + row) * p.outputs + n) / 4u;
  y[at] = lo;
  if (n + 4u < p.outputs) {
    y[at + 1u] = hi;
  }
}
