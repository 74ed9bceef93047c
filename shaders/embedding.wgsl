// Rows of a table by index, plus a row of a second table by position: CLIP's token and position embeddings.

alias E = f32; // storage of both tables: f32 | f16
alias T = f32; // storage of y

struct Params {
  count: u32, // indices
  channels: u32,
  positions: u32, // rows of the position table; 0: none
  first: u32, // rows of the table that are bound here
  bound: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<E>;
@group(0) @binding(3) var<storage, read> position: array<E>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let i = id.y;
  if (c >= p.channels || ids[i] < p.first || ids[i] >= p.first + p.bound) {
    return;
  }
  var v = f32(table[(ids[i] - p.first) * p.channels + c]);
  if (p.positions > 0u) {
    v += f32(position[(i % p.positions) * p.channels + c]);
  }
  y[i * p.channels + c] = T(v);
}
