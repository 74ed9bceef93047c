// Packed f16 weights (see gemm-pack.wgsl) to 8-bit codes: GROUP inputs of one column share a scale, code = round(w / scale),
// scale = largest |w| / 127 as f16. Codes of four inputs lie in one word, [panel][row / 4][column]; scales are
// [panel][group][column], two columns a word. One invocation for two neighbouring columns of a group.

const GROUP: u32 = 64u; // inputs that share a scale, a multiple of 4

struct Params {
  depth: u32, // rows of a panel, a multiple of 8
  panel: u32, // columns of a panel
  groups: u32, // of a panel
  pairs: u32, // (panel, group, pair of columns) in all
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> scales: array<u32>;

// Rows row and row + 1 (row even) of a column; `first` is the panel's first row.
fn weights(first: u32, row: u32, column: u32) -> vec2<f32> {
  return unpack2x16float(packed[(first + row) / 2u * p.panel + column]);
}

fn scale_of(first: u32, from_row: u32, to_row: u32, column: u32) -> f32 {
  var most = 0.0;
  for (var row = from_row; row < to_row; row += 2u) {
    let w = abs(weights(first, row, column));
    most = max(most, max(w.x, w.y));
  }
  return most / 127.0;
}

fn encode(first: u32, from_row: u32, to_row: u32, column: u32, scale: f32) {
  let divisor = select(1.0, scale, scale > 0.0);
  for (var row = from_row; row < to_row; row += 4u) {
    let w = vec4<f32>(weights(first, row, column), weights(first, row + 2u, column)) / divisor;
    let c = vec4<u32>(vec4<i32>(clamp(round(w), vec4<f32>(-127.0), vec4<f32>(127.0)))) & vec4<u32>(255u);
    codes[(first + row) / 4u * p.panel + column] = c.x | (c.y << 8u) | (c.z << 16u) | (c.w << 24u);
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>) {
  let i = id.x + id.y * count.x * 64u;
  if (i >= p.pairs) {
    return;
  }
  let column = i * 2u % p.panel;
  let group = i * 2u / p.panel; // of all panels
  let first = group / p.groups * p.depth;
  let from_row = group % p.groups * GROUP;
  let to_row = min(from_row + GROUP, p.depth);
  let word = pack2x16float(vec2<f32>(
    scale_of(first, from_row, to_row, column),
    scale_of(first, from_row, to_row, column + 1u),
  ));
  // As they will be read: what rounding the scales cost is made up for by the codes.
  let scale = unpack2x16float(word);
  scales[i] = word;
  encode(first, from_row, to_row, column, scale.x);
  encode(first, from_row, to_row, column + 1u, scale.y);
}
