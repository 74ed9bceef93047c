// Counts values that are NaN or infinite, by the bits of their exponents: a compiler may assume that floats are finite,
// and words need no f16.

const HALVES: bool = false; // words hold two f16 each, else one f32

struct Params {
  count: u32, // values
  threads: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> total: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var found = 0u;
  if (HALVES) {
    for (var i = id.x; 2u * i < p.count; i += p.threads) {
      found += u32((x[i] & 0x7c00u) == 0x7c00u);
      found += u32((x[i] & 0x7c000000u) == 0x7c000000u && 2u * i + 1u < p.count);
    }
  } else {
    for (var i = id.x; i < p.count; i += p.threads) {
      found += u32((x[i] & 0x7f800000u) == 0x7f800000u);
    }
  }
  if (found > 0u) {
    atomicAdd(&total[0], found);
  }
}
