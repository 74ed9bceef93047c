// Counts values that are NaN or infinite. By their bits: a compiler may assume that floats are finite.

alias T = f32; // storage of x: f32 | f16

struct Params {
  count: u32,
  threads: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> total: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var found = 0u;
  for (var i = id.x; i < p.count; i += p.threads) {
    if ((bitcast<u32>(f32(x[i])) & 0x7f800000u) == 0x7f800000u) {
      found++;
    }
  }
  if (found > 0u) {
    atomicAdd(&total[0], found);
  }
}
