// y = scale · x with its (up to five) dimensions in another order. A thread writes one element.

alias A = f32; // storage of x
alias T = f32; // storage of y

struct Params {
  count: u32,
  scale: f32,
  pad0: u32,
  pad1: u32,
  sizes: array<vec4u, 2>, // of y, outermost first, ones in front
  strides: array<vec4u, 2>, // of x, in y's order
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<A>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.count) {
    return;
  }
  var left = i;
  var at = 0u;
  for (var k = 5u; k > 0u; k--) {
    let d = k - 1u;
    let size = p.sizes[d / 4u][d % 4u];
    at += left % size * p.strides[d / 4u][d % 4u];
    left /= size;
  }
  y[i] = T(p.scale * f32(x[at]));
}
