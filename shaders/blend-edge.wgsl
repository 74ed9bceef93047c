// Blends the first rows (or columns) of a tile with the last ones of the tile before it, in place:
//   tile[k] = before[size − extent + k] · (1 − k / extent) + tile[k] · k / extent,  0 ≤ k < extent
// One invocation an element of the edge.

alias T = f32;

struct Params {
  frames: u32,
  edge_rows: u32, // size of the edge: extent × width, or height × extent
  edge_width: u32,
  channels: u32,
  height: u32, // of the tile
  width: u32,
  before_height: u32,
  before_width: u32,
  extent: u32,
  vertical: u32, // 1: rows, 0: columns
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> before: array<T>;
@group(0) @binding(2) var<storage, read_write> tile: array<T>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  let row = p.edge_width * p.channels;
  if (i >= p.frames * p.edge_rows * row) {
    return;
  }
  let c = i % p.channels;
  let x = i % row / p.channels;
  let y = i / row % p.edge_rows;
  let frame = i / row / p.edge_rows;
  let k = select(x, y, p.vertical == 1u);
  let before_y = select(y, p.before_height - p.extent + y, p.vertical == 1u);
  let before_x = select(p.before_width - p.extent + x, x, p.vertical == 1u);
  let a = f32(before[((frame * p.before_height + before_y) * p.before_width + before_x) * p.channels + c]);
  let at = ((frame * p.height + y) * p.width + x) * p.channels + c;
  let share = f32(k) / f32(p.extent);
  tile[at] = T(a * (1.0 - share) + f32(tile[at]) * share);
}
