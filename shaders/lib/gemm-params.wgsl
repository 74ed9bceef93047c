// Sizes of a product, and what follows its sums; what is multiplied (bindings 5 to 7) is the module's.

struct Params {
  frames: u32, // of this dispatch
  rows: u32, // output rows a frame of this dispatch
  width: u32, // output columns
  outputs: u32, // columns of the product
  c1: u32, // channels of x
  c2: u32, // channels of x2
  c_padded: u32, // c1 + c2 as packed
  panel: u32, // columns a panel of packed weights
  kernel_h: u32,
  kernel_w: u32,
  stride: u32,
  pad_top: u32,
  pad_left: u32,
  in_h: u32, // size of x, after upsampling
  in_w: u32,
  src_h: u32, // size of x in memory
  src_w: u32,
  bound_rows: u32, // rows of x a frame that are bound …
  first_src: u32, // … from this one on
  first_row: u32, // output row at which this dispatch begins
  x_start: u32, // elements before the first bound one
  x2_start: u32,
  y_start: u32,
  residual_start: u32,
  first_frame: u32,
  frames_per_bias: u32, // frames that share an entry of row_bias; 0: no row_bias
  has_bias: u32,
  has_residual: u32,
  half_weights: u32, // weights are f16, (k, k + 1) in one word
  activation: u32,
  groups_x: u32, // workgroups in x, so that a long list of rows may wrap into z
  splits: u32, // shares of the sum that workgroups compute apart, neighbours in z; 1: the whole
  matrices: u32, // frame f is multiplied by matrix f of so many in each panel; 1: all frames by the same
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> row_bias: array<T>;
@group(0) @binding(3) var<storage, read> residual: array<T>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;
