// Winograd's F(2 × 2, 3 × 3), last of three passes (see winograd-input.wgsl): y = Aᵀ m A of every tile's 4 × 4 products, and
// what follows a convolution's sums: bias, time embedding, activation, residual.
// One workgroup a tile, whose channels its invocations share.

alias V = f32; // storage of a unit: one channel, two or four
alias F = f32; // the same in f32
const ACTIVATION: u32 = 0u; // see lib/activations.wgsl
const SIDE: u32 = 4u; // points a side; 3 where x is doubled
const LANES: u32 = 64u;

struct Params {
  units: u32, // of output channels
  rows: u32, // rows of tiles a frame of this dispatch
  columns: u32, // tiles a row
  pitch: u32, // rows of a matrix
  height: u32, // rows of y a frame of this dispatch
  width: u32, // columns of y
  skip: u32, // units before the first bound one of y
  skip_residual: u32,
  first_frame: u32,
  frames_per_bias: u32, // frames that share an entry of row_bias; 0: no row_bias
  has_bias: u32,
  has_residual: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<V>; // [points, pitch, units]
@group(0) @binding(2) var<storage, read> bias: array<F>;
@group(0) @binding(3) var<storage, read> row_bias: array<V>;
@group(0) @binding(4) var<storage, read> residual: array<V>;
@group(0) @binding(5) var<storage, read_write> y: array<V>; // [frames, height, width, units]

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

// see lib/activated-1.wgsl
fn activated(v: F) -> F { return v; }

// Aᵀ times a column of products. `cut`: the second output is beyond the last row or column.
fn back(m: array<F, SIDE>, cut: bool) -> array<F, 2> {
  return array<F, 2>(m[0] + m[1] + m[2], m[1] - m[2] - m[3]);
}

// One unit of a tile's channels, to pixel (oy, ox) and its neighbours.
fn transform(tile: u32, frame: u32, oy: u32, ox: u32, unit: u32) {
  var columns: array<array<F, SIDE>, 2>; // Aᵀ m
  for (var j = 0u; j < SIDE; j++) {
    var column: array<F, SIDE>;
    for (var i = 0u; i < SIDE; i++) {
      column[i] = unpack(m[((i * SIDE + j) * p.pitch + tile) * p.units + unit]);
    }
    let t = back(column, oy + 1u >= p.height);
    columns[0][j] = t[0];
    columns[1][j] = t[1];
  }
  var before = F();
  if (p.has_bias == 1u) {
    before += bias[unit];
  }
  if (p.frames_per_bias > 0u) {
    before += unpack(row_bias[(p.first_frame + frame) / p.frames_per_bias * p.units + unit]);
  }
  for (var i = 0u; i < 2u; i++) {
    let t = back(columns[i], ox + 1u >= p.width);
    for (var j = 0u; j < 2u; j++) {
      if (oy + i < p.height && ox + j < p.width) {
        let at = ((frame * p.height + oy + i) * p.width + ox + j) * p.units + unit;
        var sum = activated(t[j] + before);
        if (p.has_residual == 1u) {
          sum += unpack(residual[p.skip_residual + at]);
        }
        y[p.skip + at] = pack(sum);
      }
    }
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let tile = group.y * p.columns + group.x;
  let frame = group.y / p.rows;
  let oy = group.y % p.rows * 2u;
  let ox = group.x * 2u;
  for (var unit = lane; unit < p.units; unit += LANES) {
    transform(tile, frame, oy, ox, unit);
  }
}
