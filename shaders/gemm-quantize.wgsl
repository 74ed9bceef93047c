// Packed f16 weights (see gemm-pack.wgsl) to 8-bit codes: GROUP inputs of one column share a scale, code = round(w / scale),
// scale = largest |w| / 127 as f16: what rounding the scale costs is made up for by the codes. Codes of four inputs lie in
// one word, [panel][row / 4][column]; scales are [panel][group][column], two columns a word. One invocation for two
// neighbouring columns of a group.

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

// The f16 that is nearest to a positive number: eleven bits of it, below 2^-14 the nearest multiple of 2^-24. By its bits,
// because some compilers take unpack2x16float(pack2x16float(v)) for v (NVIDIA's do: codes were off by up to 0.55).
fn nearest_half(v: f32) -> f32 {
  let bits = bitcast<u32>(v);
  let rounded = bitcast<f32>((bits + 0xfffu + ((bits >> 13u) & 1u)) & 0xffffe000u);
  return select(rounded, round(v * 0x1p24f) * 0x1p-24f, v < 0x1p-14f);
}

fn scale_of(first: u32, from_row: u32, to_row: u32, column: u32) -> f32 {
  var most = 0.0;
  for (var row = from_row; row < to_row; row += 2u) {
    let w = abs(weights(first, row, column));
    most = max(most, max(w.x, w.y));
  }
  return nearest_half(most / 127.0);
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
  let left = scale_of(first, from_row, to_row, column);
  let right = scale_of(first, from_row, to_row, column + 1u);
  scales[i] = pack2x16float(vec2<f32>(left, right));
  encode(first, from_row, to_row, column, left);
  encode(first, from_row, to_row, column + 1u, right);
}
