// A rectangle of one channels-last picture to a place in another of as many channels. One invocation an element.

alias T = f32;

struct Params {
  height: u32, // of the rectangle
  row: u32, // its width · channels
  from_start: u32, // elements before its first one
  from_stride: u32, // elements from row to row
  to_start: u32,
  to_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.height * p.row) {
    return;
  }
  let row = i / p.row;
  let at = i % p.row;
  y[p.to_start + row * p.to_stride + at] = x[p.from_start + row * p.from_stride + at];
}
