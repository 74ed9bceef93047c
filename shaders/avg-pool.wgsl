// Mean over 2 × 2 pixels; at an odd edge the last row or column counts twice (replicate padding to even).

alias V = f32; // storage of x and y: one element, or four
alias F = f32; // the same in f32

struct Params {
  frames: u32,
  height: u32, // of x
  width: u32,
  out_height: u32,
  out_width: u32,
  units: u32, // of a pixel
  skip: u32, // units before x's first pixel
  skip_y: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= p.frames * p.out_height * p.out_width * p.units) {
    return;
  }
  let u = i % p.units;
  let column = i / p.units % p.out_width;
  let line = i / p.units / p.out_width % p.out_height;
  let frame = i / p.units / p.out_width / p.out_height;
  let top = (frame * p.height + 2u * line) * p.width;
  let bottom = (frame * p.height + min(2u * line + 1u, p.height - 1u)) * p.width;
  let left = p.skip + 2u * column * p.units + u;
  let right = p.skip + min(2u * column + 1u, p.width - 1u) * p.units + u;
  let sum = unpack(x[top * p.units + left]) + unpack(x[top * p.units + right])
    + unpack(x[bottom * p.units + left]) + unpack(x[bottom * p.units + right]);
  y[p.skip_y + i] = pack(0.25f * sum);
}
