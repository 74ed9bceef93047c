// GroupNorm, third pass: y = x · factor + offset per set and channel, then SiLU where asked, four rows at a time: the
// question costs a software adapter more than the answer. Writes one source's channels into their place in y, so that the
// UNet's skips are never copied together.

alias V = f32; // storage of x and y: one element, or four
alias F = f32; // the same in f32
const LANES: u32 = 64u;

struct Params {
  rows: u32, // rows of a set that are bound here
  units: u32, // channels of x / WIDTH
  columns: u32, // channels of y / WIDTH
  column: u32, // where x's begin among them
  block_rows: u32, // rows that a thread normalises
  blocks: u32, // runs of so many rows of a set here
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
  let first = (block % p.blocks) * p.block_rows;
  let last = min(p.block_rows, p.rows - first) - 1u;
  let pair = 2u * ((p.first_set + member) * p.columns + p.column + unit);
  let factor = affine[pair];
  let offset = affine[pair + 1u];
  let row = member * p.rows + first;
  let source = p.skip + row * p.units + unit;
  let goal = p.skip_y + row * p.columns + p.column + unit;
  for (var r = 0u; r <= last; r += 4u) {
    let rows = min(vec4u(r, r + 1u, r + 2u, r + 3u), vec4u(last)); // the last may be done several times
    let s = source + rows * p.units;
    var a = unpack(x[s.x]) * factor + offset;
    var b = unpack(x[s.y]) * factor + offset;
    var c = unpack(x[s.z]) * factor + offset;
    var d = unpack(x[s.w]) * factor + offset;
    if (p.silu == 1u) {
      a = a / (1f + exp(-a));
      b = b / (1f + exp(-b));
      c = c / (1f + exp(-c));
      d = d / (1f + exp(-d));
    }
    let g = goal + rows * p.columns;
    y[g.x] = pack(a);
    y[g.y] = pack(b);
    y[g.z] = pack(c);
    y[g.w] = pack(d);
  }
}
