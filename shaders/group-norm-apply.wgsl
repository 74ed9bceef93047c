// GroupNorm, third pass: y = x · factor + offset per set and channel, then SiLU where asked. Writes one source's channels
// into their place in y, so that the UNet's skips are never copied together.

alias V = f32; // storage of x and y: one element, or four
alias F = f32; // the same in f32
const LANES: u32 = 64u;
const ROWS: u32 = 8u; // rows a thread normalises

struct Params {
  rows: u32, // rows of a set that are bound here
  units: u32, // channels of x / WIDTH
  columns: u32, // channels of y / WIDTH
  column: u32, // where x's begin among them
  blocks: u32, // runs of ROWS rows of a set here
  first_set: u32, // of `affine` that this dispatch reads
  skip: u32, // units before x's first row
  skip_y: u32,
  silu: u32,
  threads: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>; // [sets, rows, units]
@group(0) @binding(2) var<storage, read> affine: array<F>; // [sets, columns, (factor, offset)]
@group(0) @binding(3) var<storage, read_write> y: array<V>; // [sets, rows, columns]

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * LANES;
  if (i >= p.threads) {
    return;
  }
  let unit = i % p.units;
  let block = i / p.units;
  let member = block / p.blocks;
  let first = (block % p.blocks) * ROWS;
  let count = min(ROWS, p.rows - first);
  let pair = 2u * ((p.first_set + member) * p.columns + p.column + unit);
  let factor = affine[pair];
  let offset = affine[pair + 1u];
  let row = member * p.rows + first;
  var source = p.skip + row * p.units + unit;
  var goal = p.skip_y + row * p.columns + p.column + unit;
  for (var r = 0u; r < count; r++) {
    var v = unpack(x[source]) * factor + offset;
    if (p.silu == 1u) {
      v = v / (1f + exp(-v));
    }
    y[goal] = pack(v);
    source += p.units;
    goal += p.columns;
  }
}
