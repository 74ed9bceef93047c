// The second half of a product whose sum was split (split-K). The idea: a deep layer over few pixels has too few tiles to
// keep a GPU busy, so several workgroups compute shares of each tile's sum; here the shares are added, always in the same
// order, and what follows a sum is done once. One invocation four columns.

alias T = f32; // activations
const COLUMNS: u32 = 4u; // of an invocation
const GEGLU: bool = false; // columns come in pairs (value, gate)
const ACTIVATION: u32 = 0u; // see lib/activations.wgsl

// include lib/gemm-params.wgsl
@group(0) @binding(5) var<storage, read> shares: array<vec4<f32>>; // [splits, rows, columns / 4]

// What follows the sum of COLUMNS columns from n on, see lib/finish.wgsl.
fn finish(sum: vec4<f32>, row: u32, n: u32, split: u32) {
  y[p.y_start + row * p.outputs + n] = T(sum.x);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  let fours = (p.outputs + 3u) / 4u;
  let total = p.frames * p.rows * p.width;
  if (i >= total * fours) {
    return;
  }
  var sum = vec4<f32>();
  for (var split = 0u; split < p.splits; split++) {
    sum += shares[split * total * fours + i];
  }
  finish(sum, i / fours, i % fours * 4u, 0u);
}
