// y = sum of coefficient · tensor over up to six tensors, four elements a thread: one assignment of a sampler's step.

struct Params {
  units: u32, // elements / 4, rounded up: allocations are padded
  terms: u32,
  c: array<vec4f, 2>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x0: array<vec4f>;
@group(0) @binding(2) var<storage, read> x1: array<vec4f>;
@group(0) @binding(3) var<storage, read> x2: array<vec4f>;
@group(0) @binding(4) var<storage, read> x3: array<vec4f>;
@group(0) @binding(5) var<storage, read> x4: array<vec4f>;
@group(0) @binding(6) var<storage, read> x5: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.units) {
    return;
  }
  var v = p.c[0].x * x0[i];
  if (p.terms > 1u) {
    v += p.c[0].y * x1[i];
  }
  if (p.terms > 2u) {
    v += p.c[0].z * x2[i];
  }
  if (p.terms > 3u) {
    v += p.c[0].w * x3[i];
  }
  if (p.terms > 4u) {
    v += p.c[1].x * x4[i];
  }
  if (p.terms > 5u) {
    v += p.c[1].y * x5[i];
  }
  y[i] = v;
}
