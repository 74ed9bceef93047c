// Rows of a table by index, plus a row of a second table by position: CLIP's token and position embeddings.

alias A = f32; // storage of both tables: one element, or four
alias V = f32; // storage of y
alias F = f32;

struct Params {
  count: u32, // indices
  units: u32, // of a row
  positions: u32, // rows of the position table; 0: none
  first: u32, // rows of the table that are bound here
  bound: u32,
  skip: u32, // units before the first of them
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<A>;
@group(0) @binding(3) var<storage, read> position: array<A>;
@group(0) @binding(4) var<storage, read_write> y: array<V>;

fn unpack(v: A) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = (id.x + id.y * groups.x * 64u) / p.units;
  let u = (id.x + id.y * groups.x * 64u) % p.units;
  if (i >= p.count || ids[i] < p.first || ids[i] >= p.first + p.bound) {
    return;
  }
  var v = unpack(table[p.skip + (ids[i] - p.first) * p.units + u]);
  if (p.positions > 0u) {
    v += unpack(position[(i % p.positions) * p.units + u]);
  }
  y[i * p.units + u] = pack(v);
}
