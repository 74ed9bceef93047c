// GroupNorm on software adapters, second pass: each thread joins the moments of its channels' groups by itself, from few
// numbers in the cache, and writes y = x · factor + offset for its rows, then SiLU where asked, four rows at a time: the
// question costs more than the answer. Writes one source's channels into their place in y.

alias V = f32; // storage of x and y: one element, or four
alias F = f32; // the same in f32
alias I = u32; // the same in whole numbers
const LANES: u32 = 64u;
const WIDTH: u32 = 1u;
const EACH: I = 0u; // the channels of a unit, from its first on

struct Params {
  rows: u32, // rows of a set that are bound here
  units: u32, // channels of x / WIDTH
  columns: u32, // channels of y / WIDTH
  column: u32, // where x's begin among them
  width: u32, // channels of a group
  slices: u32, // of a set
  slice_rows: u32,
  set_rows: u32, // of a whole set
  first_set: u32, // of `partial` that this dispatch reads
  block_rows: u32, // rows that a thread normalises
  blocks: u32, // runs of so many rows of a set here
  skip: u32, // units before x's first row
  skip_y: u32,
  threads: u32,
  silu: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>; // [sets, rows, units]
@group(0) @binding(2) var<storage, read> partial: array<f32>; // [sets, slices, columns, (mean, squared deviations), WIDTH]
@group(0) @binding(3) var<storage, read> weight: array<F>; // [columns]
@group(0) @binding(4) var<storage, read> bias: array<F>;
@group(0) @binding(5) var<storage, read_write> y: array<V>; // [sets, rows, columns]

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

// Where the mean of channel c lies, over a slice of a set.
fn place(slice: u32, c: u32) -> u32 {
  return 2u * WIDTH * (slice * p.columns + c / WIDTH) + c % WIDTH;
}

// Mean and 1 / deviation of a group of channels of a set.
fn moments(member: u32, group: u32) -> vec2f {
  let first = group * p.width;
  var sum = 0f;
  for (var s = 0u; s < p.slices; s++) {
    let rows = f32(min(p.slice_rows, p.set_rows - s * p.slice_rows));
    for (var c = first; c < first + p.width; c++) {
      sum += rows * partial[place(member * p.slices + s, c)];
    }
  }
  let mean = sum / f32(p.set_rows * p.width);
  var squares = 0f;
  for (var s = 0u; s < p.slices; s++) {
    let rows = f32(min(p.slice_rows, p.set_rows - s * p.slice_rows));
    for (var c = first; c < first + p.width; c++) {
      let at = place(member * p.slices + s, c);
      let off = partial[at] - mean;
      squares += partial[at + WIDTH] + rows * off * off;
    }
  }
  return vec2f(mean, inverseSqrt(squares / f32(p.set_rows * p.width) + p.eps));
}

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

  let column = p.column + unit;
  let group = (column * WIDTH + EACH) / p.width;
  var mean = F();
  var deviation = F();
  for (var g = column * WIDTH / p.width; g <= (column * WIDTH + WIDTH - 1u) / p.width; g++) {
    let m = moments(p.first_set + member, g);
    mean = select(mean, F(m.x), group == I(g));
    deviation = select(deviation, F(m.y), group == I(g));
  }
  let factor = deviation * weight[column];
  let offset = bias[column] - mean * factor;

  let row = member * p.rows + first;
  let source = p.skip + row * p.units + unit;
  let goal = p.skip_y + row * p.columns + column;
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
