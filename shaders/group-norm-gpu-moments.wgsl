// GroupNorm, first of two passes: mean and squared deviations of each group over a slice of rows, by Chan, Golub and
// LeVeque's pairwise update, four rows at a time (sums of squares about zero would lose small variances beside large
// means). A workgroup owns a block of whole groups: its lanes lie beside each other along a row, so that neighbours read
// neighbouring memory, and share out the rows; what they found is joined by channel, then by group.

alias V = f32; // storage of a unit of x and x2: one channel, or four
alias F = f32; // the same in f32
const WIDTH: u32 = 1u; // channels of a unit
const LANES: u32 = 64u;

struct Params {
  rows: u32, // of a set that are bound here
  units: u32, // of a row of x
  units2: u32, // of a row of x2, whose channels follow x's
  block: u32, // units of a block, at most LANES
  width: u32, // channels of a group
  slices: u32, // of a set
  first_slice: u32, // of `partial` that this dispatch writes
  slice_rows: u32,
  skip: u32, // units before the first row of x, and of x2
  skip2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>; // [sets, rows, units]
@group(0) @binding(2) var<storage, read> x2: array<V>; // [sets, rows, units2]
@group(0) @binding(3) var<storage, read_write> partial: array<vec2f>; // [sets, slices, groups] of (mean, squared deviations)

var<workgroup> means: array<F, LANES>;
var<workgroup> squares: array<F, LANES>;

fn unpack(v: V) -> F { return F(v); }
fn load(second: bool, at: u32) -> F { return unpack(x[at]); }
fn channel(v: F, i: u32) -> f32 { return v; }

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let down = LANES / p.block; // rows that are read at a time
  let unit = id.x * p.block + lane % p.block;
  let turn = lane / p.block; // this lane's first row; the next is `down` rows on
  let first = id.y * p.slice_rows;
  let rows = min(p.slice_rows, p.rows - first);
  let count = select(0u, (rows + down - 1u - turn) / down, turn < down);

  let second = unit >= p.units;
  let stride = select(p.units, p.units2, second);
  var at = select(p.skip + unit, p.skip2 + unit - p.units, second) + (id.z * p.rows + first + turn) * stride;
  let step = down * stride;
  var mean = F();
  var m2 = F();
  for (var k = 1u; k <= count / 4u; k++) {
    let a = load(second, at);
    let b = load(second, at + step);
    let c = load(second, at + 2u * step);
    let d = load(second, at + 3u * step);
    at += 4u * step;
    let m = 0.25f * ((a + b) + (c + d));
    let off = m - mean;
    mean += off * (1f / f32(k));
    m2 += ((a - m) * (a - m) + (b - m) * (b - m)) + ((c - m) * (c - m) + (d - m) * (d - m)) + off * off * (4f * f32(k - 1u) / f32(k));
  }
  for (var n = count / 4u * 4u; n < count; n++) {
    let v = load(second, at);
    at += step;
    let off = v - mean;
    mean += off * (1f / f32(n + 1u));
    m2 += off * (v - mean);
  }
  means[lane] = mean;
  squares[lane] = m2;

  workgroupBarrier();
  if (lane < p.block) {
    var n = f32(count);
    for (var t = 1u; t < min(down, rows); t++) {
      let more = f32((rows + down - 1u - t) / down);
      let off = means[t * p.block + lane] - mean;
      n += more;
      mean += off * (more / n);
      m2 += squares[t * p.block + lane] + off * off * (more * (n - more) / n);
    }
    means[lane] = mean;
    squares[lane] = m2;
  }

  workgroupBarrier();
  let groups = p.block * WIDTH / p.width;
  for (var g = lane; g < groups; g += LANES) {
    let begin = g * p.width;
    var sum = 0f;
    for (var c = begin; c < begin + p.width; c++) {
      sum += channel(means[c / WIDTH], c % WIDTH);
    }
    let middle = sum / f32(p.width);
    var all = 0f;
    for (var c = begin; c < begin + p.width; c++) {
      let off = channel(means[c / WIDTH], c % WIDTH) - middle;
      all += channel(squares[c / WIDTH], c % WIDTH) + f32(rows) * off * off;
    }
    let slice = id.z * p.slices + p.first_slice + id.y;
    partial[slice * (p.units + p.units2) * WIDTH / p.width + id.x * groups + g] = vec2f(middle, all);
  }
}
