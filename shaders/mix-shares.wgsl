// y = (1 − share) · a + share · b over a run of elements, with a share for every position: what one part of a picture takes
// from another text than the rest of it. Shares of 0 and 1 give a's and b's own bits.

alias V = f32; // storage of a, b and y: one element, or four
alias F = f32; // the same in f32

struct Params {
  units: u32,
  skip_a: u32, // units before the first one
  skip_b: u32,
  skip_y: u32,
  first: u32, // unit of b with which the run begins
  row: u32, // units of a position
  shares: u32, // positions that have a share of their own; those of further frames repeat them
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<V>;
@group(0) @binding(2) var<storage, read> b: array<V>;
@group(0) @binding(3) var<storage, read> share: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<V>;

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.units) {
    return;
  }
  let t = share[((p.first + i) / p.row) % p.shares];
  y[p.skip_y + i] = pack((1.0 - t) * unpack(a[p.skip_a + i]) + t * unpack(b[p.skip_b + i]));
}
