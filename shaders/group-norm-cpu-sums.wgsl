// GroupNorm on software adapters, first of two passes: mean and squared deviations of each channel over a slice of rows, by
// Chan, Golub and LeVeque's pairwise update, four rows at a time. A thread owns WIDTH neighbouring channels of one slice and
// waits for nobody: barriers cost such an adapter time, most of all to compile.

alias V = f32; // storage of x: one element, or four
alias F = f32; // the same in f32
const LANES: u32 = 64u;

struct Params {
  rows: u32, // rows of a set that are bound here
  units: u32, // channels of x / WIDTH
  columns: u32, // channels of all sources / WIDTH
  column: u32, // where x's begin among them
  slices: u32, // slices of a set here
  slice_rows: u32, // a multiple of 4
  first_slice: u32, // of `partial` that this dispatch writes
  skip: u32, // units before the first row
  threads: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>; // [sets, rows, units]
@group(0) @binding(2) var<storage, read_write> partial: array<F>; // [sets · slices, columns, (mean, squared deviations)]

fn unpack(v: V) -> F { return F(v); }

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * LANES;
  if (i >= p.threads) {
    return;
  }
  let unit = i % p.units;
  let slice = i / p.units;
  let first = (slice % p.slices) * p.slice_rows;
  let count = min(p.slice_rows, p.rows - first);
  var at = p.skip + (slice / p.slices * p.rows + first) * p.units + unit;
  var mean = F();
  var m2 = F();
  for (var k = 1u; k <= count / 4u; k++) {
    let a = unpack(x[at]);
    let b = unpack(x[at + p.units]);
    let c = unpack(x[at + 2u * p.units]);
    let d = unpack(x[at + 3u * p.units]);
    at += 4u * p.units;
    let m = 0.25f * ((a + b) + (c + d));
    let off = m - mean;
    mean += off * (1f / f32(k));
    m2 += ((a - m) * (a - m) + (b - m) * (b - m)) + ((c - m) * (c - m) + (d - m) * (d - m)) + off * off * (4f * f32(k - 1u) / f32(k));
  }
  for (var n = count / 4u * 4u; n < count; n++) {
    let v = unpack(x[at]);
    at += p.units;
    let off = v - mean;
    mean += off * (1f / f32(n + 1u));
    m2 += off * (v - mean);
  }
  let out = 2u * ((p.first_slice + slice) * p.columns + p.column + unit);
  partial[out] = mean;
  partial[out + 1u] = m2;
}
