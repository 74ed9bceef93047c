// GroupNorm, second pass: y = x · factor + offset per channel, then SiLU where asked. A workgroup owns a block of whole
// groups of some rows, and begins by joining the groups' moments over all slices (Chan, Golub and LeVeque). Four rows at a
// time: whether there is SiLU costs a software adapter more to ask than to compute.

alias V = f32; // storage of a unit of x, x2 and y: one channel, or four
alias F = f32; // the same in f32
const WIDTH: u32 = 1u; // channels of a unit
const LANES: u32 = 64u;
const PARTS: u32 = 8u; // in which a group's slices are joined at a time
const GROUPS: u32 = 32u; // of a block, at most

struct Params {
  rows: u32, // of a set that are bound here
  units: u32, // of a row of x
  units2: u32, // of a row of x2, whose channels follow x's
  block: u32, // units of a block, at most LANES
  width: u32, // channels of a group
  slices: u32, // of a set
  slice_rows: u32,
  set_rows: u32, // of a whole set
  first_set: u32, // of `partial` that this dispatch reads
  run_rows: u32, // that a workgroup normalises
  skip: u32, // units before the first row of x, x2 and y
  skip2: u32,
  skip_y: u32,
  silu: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>; // [sets, rows, units]
@group(0) @binding(2) var<storage, read> x2: array<V>; // [sets, rows, units2]
@group(0) @binding(3) var<storage, read> partial: array<vec2f>; // [sets, slices, groups] of (mean, squared deviations)
@group(0) @binding(4) var<storage, read> weight: array<F>; // [units + units2]
@group(0) @binding(5) var<storage, read> bias: array<F>;
@group(0) @binding(6) var<storage, read_write> y: array<V>; // [sets, rows, units + units2]

var<workgroup> joined: array<vec3f, GROUPS * PARTS>; // count, mean, squared deviations
var<workgroup> stats: array<vec2f, GROUPS>; // mean, 1 / deviation

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }
fn load(second: bool, at: u32) -> F { return unpack(x[at]); }

// Mean and 1 / deviation for the channels of the block from c on.
fn spread(c: u32) -> array<F, 2> {
  let s = stats[c / p.width];
  return array<F, 2>(s.x, s.y);
}

fn join(a: vec3f, b: vec3f) -> vec3f {
  let n = a.x + b.x;
  if (n == 0f) {
    return a;
  }
  let off = b.y - a.y;
  return vec3f(n, a.y + off * (b.x / n), a.z + b.z + off * off * (a.x * b.x / n));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let columns = p.units + p.units2;
  let groups = p.block * WIDTH / p.width;
  let all_groups = columns * WIDTH / p.width;
  let begin = (p.first_set + id.z) * p.slices * all_groups + id.x * groups;
  for (var e = lane; e < groups * PARTS; e += LANES) {
    var total = vec3f();
    for (var s = e / groups; s < p.slices; s += PARTS) {
      let m = partial[begin + s * all_groups + e % groups];
      total = join(total, vec3f(f32(min(p.slice_rows, p.set_rows - s * p.slice_rows) * p.width), m));
    }
    joined[e] = total;
  }
  workgroupBarrier();
  for (var g = lane; g < groups; g += LANES) {
    var total = joined[g];
    for (var e = g + groups; e < groups * min(PARTS, p.slices); e += groups) {
      total = join(total, joined[e]);
    }
    stats[g] = vec2f(total.y, inverseSqrt(total.z / total.x + p.eps));
  }
  workgroupBarrier();

  let down = LANES / p.block; // rows that are written at a time
  let turn = lane / p.block; // this lane's first row; the next is `down` rows on
  let first = id.y * p.run_rows;
  let rows = min(p.run_rows, p.rows - first);
  if (turn >= min(down, rows)) {
    return;
  }
  let last = (rows + down - 1u - turn) / down - 1u;
  let unit = id.x * p.block + lane % p.block;
  let s = spread(lane % p.block * WIDTH);
  let factor = s[1] * weight[unit];
  let offset = bias[unit] - s[0] * factor;

  let second = unit >= p.units;
  let stride = select(p.units, p.units2, second);
  let row = id.z * p.rows + first + turn;
  let source = select(p.skip + unit, p.skip2 + unit - p.units, second) + row * stride;
  let goal = p.skip_y + row * columns + unit;
  for (var r = 0u; r <= last; r += 4u) {
    let rows = min(vec4u(r, r + 1u, r + 2u, r + 3u), vec4u(last)) * down; // the last may be done several times
    let places = source + rows * stride;
    var a = load(second, places.x) * factor + offset;
    var b = load(second, places.y) * factor + offset;
    var c = load(second, places.z) * factor + offset;
    var d = load(second, places.w) * factor + offset;
    if (p.silu == 1u) {
      a = a / (1f + exp(-a));
      b = b / (1f + exp(-b));
      c = c / (1f + exp(-c));
      d = d / (1f + exp(-d));
    }
    let goals = goal + rows * columns;
    y[goals.x] = pack(a);
    y[goals.y] = pack(b);
    y[goals.z] = pack(c);
    y[goals.w] = pack(d);
  }
}
