// LayerNorm with LANES threads a row, four channels at a time: y = (x - mean) / sqrt(variance + eps) · weight + bias
// (+ a positional encoding). A thread takes its share of ROWS rows, so that weight and bias are loaded once for all of
// them; the threads of a row then sum their moments. Against one thread a row: neighbouring threads read neighbouring
// memory, and a quarter of the loads is saved.

alias V = vec4<f32>; // storage of x and y: four elements
alias F = vec4f;
const LANES: u32 = 8u; // threads a row, a power of two
const TEAMS: u32 = 1u; // groups of LANES threads side by side in a workgroup
const ROWS: u32 = 8u; // rows a thread shares in

struct Params {
  rows: u32,
  units: u32, // channels / 4
  add_rows: u32, // rows of x that share one entry of `add`; 0: nothing is added
  add_count: u32, // entries of `add`
  eps: f32,
  first_row: u32, // number of the first row here
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> add: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<V>;

var<workgroup> scratch: array<f32, LANES * TEAMS>;

fn unpack(v: V) -> F { return F(v); }
fn pack(v: F) -> V { return V(v); }

// The sum over the LANES threads of a row.
fn row_sum(v: f32, index: u32) -> f32 {
  workgroupBarrier();
  scratch[index] = v;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (index % LANES < half) {
      scratch[index] += scratch[index + half];
    }
  }
  workgroupBarrier();
  return scratch[index / LANES * LANES];
}

@compute @workgroup_size(LANES * TEAMS)
fn main(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let lane = index % LANES;
  let first = ((id.x + id.y * groups.x) * TEAMS + index / LANES) * ROWS;
  var means: array<f32, ROWS>;
  var factors: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    // Rows past the end repeat the last: all threads take part in every sum.
    let at = min(first + r, p.rows - 1u) * p.units;
    var mean = F();
    var m2 = F();
    var n = 0f;
    for (var u = lane; u < p.units; u += LANES) {
      let v = unpack(x[at + u]);
      n += 1f;
      let off = v - mean;
      mean += off * (1f / n);
      m2 += off * (v - mean);
    }
    let all = row_sum(n * dot(mean, vec4f(1f)), index) / f32(4u * p.units);
    let off = mean - all;
    let squares = row_sum(dot(m2 + n * off * off, vec4f(1f)), index);
    means[r] = all;
    factors[r] = inverseSqrt(squares / f32(4u * p.units) + p.eps);
  }
  for (var u = lane; u < p.units; u += LANES) {
    let w = weight[u];
    let b = bias[u];
    for (var r = 0u; r < ROWS; r++) {
      let row = first + r;
      if (row < p.rows) {
        var v = (unpack(x[row * p.units + u]) - means[r]) * factors[r] * w + b;
        if (p.add_rows > 0u) {
          v += add[((p.first_row + row) / p.add_rows) % p.add_count * p.units + u];
        }
        y[row * p.units + u] = pack(v);
      }
    }
  }
}
