// The sum over the threads of a row where a row is exactly one subgroup: no workgroup memory, no barriers.
fn row_sum(v: f32, index: u32) -> f32 {
  return subgroupAdd(v);
}
