// Packs PyTorch weights [outputs, inputs, taps] as [taps][inputs][columns / 4] vec4, the order in which the product reads
// them. Columns are outputs; for GEGLU they alternate by fours between the value half and the gate half.

alias S = f32; // storage of the source: f32 | f16
alias T = f32; // storage of the result: f32 | f16

struct Params {
  outputs: u32, // of this source
  inputs: u32,
  taps: u32,
  first_column: u32, // where this source's outputs begin
  columns: u32, // of the result, a multiple of 4
  geglu: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<S>;
@group(0) @binding(2) var<storage, read_write> packed: array<T>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.outputs * p.inputs * p.taps) {
    return;
  }
  let o = i / (p.inputs * p.taps);
  let k = i / p.taps % p.inputs;
  let tap = i % p.taps;
  var column = p.first_column + o;
  if (p.geglu == 1u) {
    let half = p.outputs / 2u;
    let j = o % half;
    column = 8u * (j / 4u) + 4u * (o / half) + j % 4u;
  }
  packed[(tap * p.inputs + k) * p.columns + column] = T(source[i]);
}
