// How fast an adapter moves memory: a copy, four words at a time and four times a turn, so that starting threads and asking
// where the end is cost little beside it.

struct Params {
  units: u32, // words / 4
  turns: u32, // of a thread
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4u>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let threads = groups.x * groups.y * 64u;
  var i = vec4u(0u, 1u, 2u, 3u) * threads + id.x + id.y * groups.x * 64u;
  for (var turn = 0u; turn < p.turns; turn++) {
    let at = min(i, vec4u(p.units - 1u)); // the last may be copied several times
    let a = x[at.x];
    let b = x[at.y];
    let c = x[at.z];
    let d = x[at.w];
    y[at.x] = a;
    y[at.y] = b;
    y[at.z] = c;
    y[at.w] = d;
    i += 4u * threads;
  }
}
