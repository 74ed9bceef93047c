// Weights ([outputs, inputs, taps], or by other strides) into panels of columns: [panel][tap][c][column in panel], inputs padded to a
// multiple of 8 and outputs to whole panels with zeros, as f32 or as pairs of f16 (c, c + 1) in one word. A product then
// reads its weights in order. One invocation a word.

struct Params {
  outputs: u32, // of this tensor
  inputs: u32,
  taps: u32,
  c_padded: u32,
  panel: u32,
  first: u32, // column of this tensor's first output
  columns: u32, // to be written from there on
  half_source: u32, // the source is f16
  half_result: u32,
  geglu: u32, // interleave: column 2j is output j, column 2j + 1 output outputs/2 + j
  output_stride: u32, // elements of the source from one output to the next
  input_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> raw: array<u32>;
@group(0) @binding(2) var<storage, read_write> packed: array<u32>;

fn value(n: u32, tap: u32, c: u32) -> f32 {
  if (n >= p.outputs || c >= p.inputs) {
    return 0.0;
  }
  let o = select(n, n / 2u + n % 2u * (p.outputs / 2u), p.geglu == 1u);
  let i = o * p.output_stride + c * p.input_stride + tap;
  if (p.half_source == 1u) {
    return unpack2x16float(raw[i / 2u])[i % 2u];
  }
  return bitcast<f32>(raw[i]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let n = id.x;
  let row = id.y + id.z * groups.y; // of words
  let step = 1u + p.half_result;
  let depth = p.taps * p.c_padded / step;
  if (n >= p.columns || row >= depth) {
    return;
  }
  let tap = row * step / p.c_padded;
  let c = row * step % p.c_padded;
  var word = bitcast<u32>(value(n, tap, c));
  if (p.half_result == 1u) {
    word = pack2x16float(vec2<f32>(value(n, tap, c), value(n, tap, c + 1u)));
  }
  let column = p.first + n;
  packed[(column / p.panel * depth + row) * p.panel + column % p.panel] = word;
}
