// Convolution as an implicit matrix product: rows are output pixels, and for each tap of the kernel the inner dimension is
// the input channels of one source pixel. A thread computes 8 pixels of 4 output channels. Reads through a nearest
// upsampling where one is asked for, so that the larger picture is never stored.

alias T = f32; // storage of x, residual and y: f32 | f16
alias W4 = vec4<f32>; // see linear.wgsl

struct Params {
  rows: u32, // output pixels: frames · out_h · out_w
  inputs: u32,
  columns: u32, // output channels
  column_blocks: u32, // of 4
  in_size: vec2u, // width, height of x
  up_size: vec2u, // of the picture that is convolved: in_size unless upsampling
  out_size: vec2u,
  kernel: vec2u, // width, height
  padding: vec2u, // left, top
  stride: u32,
  activation: u32,
  flags: u32, // 1: bias, 2: residual, 4: row bias
  bias_rows: u32,
  first_row: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> w: array<W4>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> row_bias: array<T>;
@group(0) @binding(5) var<storage, read> residual: array<T>;
@group(0) @binding(6) var<storage, read_write> y: array<T>;

const ROWS: u32 = 8u;

fn widen(v: W4) -> vec4<f32> { return vec4<f32>(v); }
fn activate(v: f32, kind: u32) -> f32 { return v; }

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let block = id.x;
  let row = id.y * ROWS;
  if (block >= p.column_blocks || row >= p.rows) {
    return;
  }
  var sum: array<vec4f, ROWS>;
  let plane = p.out_size.x * p.out_size.y;
  for (var tap = 0u; tap < p.kernel.x * p.kernel.y; tap++) {
    var at: array<u32, ROWS>;
    var inside: array<f32, ROWS>; // 0 where the tap falls into the padding
    for (var r = 0u; r < ROWS; r++) {
      let pixel = min(row + r, p.rows - 1u);
      let place = vec2u(pixel % plane % p.out_size.x, pixel % plane / p.out_size.x);
      let source = vec2i(place * p.stride + vec2u(tap % p.kernel.x, tap / p.kernel.x)) - vec2i(p.padding);
      let ok = all(source >= vec2i(0)) && all(source < vec2i(p.up_size));
      let origin = vec2u(select(vec2i(0), source, ok)) * p.in_size / p.up_size;
      at[r] = ((pixel / plane * p.in_size.y + origin.y) * p.in_size.x + origin.x) * p.inputs;
      inside[r] = select(0f, 1f, ok);
    }
    for (var k = 0u; k < p.inputs; k++) {
      let v = widen(w[(tap * p.inputs + k) * p.column_blocks + block]);
      for (var r = 0u; r < ROWS; r++) {
        sum[r] += (f32(x[at[r] + k]) * inside[r]) * v;
      }
    }
  }
  for (var r = 0u; r < ROWS; r++) {
    if (row + r >= p.rows) {
      return;
    }
    for (var i = 0u; i < 4u; i++) {
      let n = 4u * block + i;
      if (n < p.columns) {
        var v = sum[r][i];
        if ((p.flags & 1u) != 0u) {
          v += bias[n];
        }
        if ((p.flags & 4u) != 0u) {
          v += f32(row_bias[(p.first_row + row + r) / p.bias_rows * p.columns + n]);
        }
        v = activate(v, p.activation);
        if ((p.flags & 2u) != 0u) {
          v += f32(residual[(row + r) * p.columns + n]);
        }
        y[(row + r) * p.columns + n] = T(v);
      }
    }
  }
}
