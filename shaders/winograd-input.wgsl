// Winograd's F(2 × 2, 3 × 3), first of three passes (Lavin and Gray 2015). The idea: the four outputs of a 2 × 2 tile share
// what they read, 4 × 4 pixels; with d these pixels and g the kernel they are Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, 16 products for
// 36. Here Bᵀ d B of every tile and channel: one of 16 matrices [tiles, channels] for each point of the 4 × 4. Each is then
// multiplied by its own weights, by the same shaders as any product, and winograd-output.wgsl makes pixels of the results.
// Where x is doubled by nearest upsampling first, the 4 × 4 pixels are 3 × 3 different ones, and 9 points do.
// One workgroup a tile, whose channels its invocations share. Tiles lie in x and y, so that nothing is divided lane by lane.

alias V = f32; // storage of a unit: one channel, two or four
alias F = f32; // the same in f32
const SIDE: u32 = 4u; // points a side; 3 where x is doubled
const CONCAT: bool = false; // there is an x2
const LANES: u32 = 64u;

struct Params {
  units: u32, // of channels in v, zeros behind x's and x2's
  units1: u32, // in x
  units2: u32, // in x2
  rows: u32, // rows of tiles a frame of this dispatch
  columns: u32, // tiles a row
  step: u32, // pixels of x from one tile to the next
  top: u32, // pixels of padding
  left: u32,
  src_h: u32, // size of x
  src_w: u32,
  bound_rows: u32, // rows of x a frame that are bound …
  first_src: u32, // … from this one on
  first_row: u32, // row of tiles at which this dispatch begins
  skip: u32, // units before the first bound one
  skip2: u32,
  pitch: u32, // rows of a matrix
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>; // [frames, bound_rows, src_w, units1]
@group(0) @binding(2) var<storage, read> x2: array<V>;
@group(0) @binding(3) var<storage, read_write> v: array<V>; // [points, pitch, units]

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

// Bᵀ times a column of pixels.
fn forward(d: array<F, SIDE>) -> array<F, SIDE> {
  return array<F, SIDE>(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]);
}

fn pixel(frame: u32, iy: u32, ix: u32, unit: u32) -> F {
  let inside = iy < p.src_h && ix < p.src_w && unit < p.units1 + p.units2; // below 0 wraps to a large number
  let at = select(0u, (frame * p.bound_rows + iy - p.first_src) * p.src_w + ix, inside);
  if (CONCAT && unit >= p.units1) {
    return select(F(), unpack(x2[p.skip2 + at * p.units2 + unit - p.units1]), inside);
  }
  return select(F(), unpack(x[p.skip + at * p.units1 + unit]), inside);
}

// One unit of a tile's channels, from pixel (iy, ix) on.
fn transform(tile: u32, frame: u32, iy: u32, ix: u32, unit: u32) {
  var rows: array<array<F, SIDE>, SIDE>; // Bᵀ d
  for (var j = 0u; j < SIDE; j++) {
    var column: array<F, SIDE>;
    for (var i = 0u; i < SIDE; i++) {
      column[i] = pixel(frame, iy + i, ix + j, unit);
    }
    let t = forward(column);
    for (var i = 0u; i < SIDE; i++) {
      rows[i][j] = t[i];
    }
  }
  for (var i = 0u; i < SIDE; i++) {
    let t = forward(rows[i]);
    for (var j = 0u; j < SIDE; j++) {
      v[((i * SIDE + j) * p.pitch + tile) * p.units + unit] = pack(t[j]);
    }
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let tile = group.y * p.columns + group.x;
  let frame = group.y / p.rows;
  let iy = (group.y % p.rows + p.first_row) * p.step - p.top;
  let ix = group.x * p.step - p.left;
  for (var unit = lane; unit < p.units; unit += LANES) {
    transform(tile, frame, iy, ix, unit);
  }
}
