// y = activation(a + b), four elements a thread; also converts between storage types. What the last thread does beyond
// the tensor's end falls into the padding that every allocation has.

alias A = vec4<f32>; // storage of a and b
alias V = vec4<f32>; // storage of y
const HAS_B: bool = false;
const ACTIVATION: u32 = 0u; // see lib/activations.wgsl

struct Params {
  units: u32, // elements / 4, rounded up
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<A>;
@group(0) @binding(2) var<storage, read> b: array<A>;
@group(0) @binding(3) var<storage, read_write> y: array<V>;

fn unpack(v: A) -> vec4f { return vec4f(v); }
fn pack(v: vec4f) -> V { return V(v); }
fn activate(v: f32, kind: u32) -> f32 { return v; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.units) {
    return;
  }
  var v = unpack(a[i]);
  if (HAS_B) {
    v += unpack(b[i]);
  }
  if (ACTIVATION != 0u) {
    for (var e = 0u; e < 4u; e++) {
      v[e] = activate(v[e], ACTIVATION);
    }
  }
  y[i] = pack(v);
}
