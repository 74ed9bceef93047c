// GroupNorm, first of three passes: mean and squared deviations of each channel over a slice of rows. A thread owns one
// channel of one slice, so that neighbouring threads read neighbouring memory. Values are shifted by the slice's first:
// a sum of squares about zero would lose small variances beside large means.

alias T = f32; // storage of x and x2: f32 | f16

struct Params {
  rows: u32, // rows (frame, y, x) that are normalised together
  channels: u32, // of both sources together
  first: u32, // channels of x; the rest come from x2
  slices: u32, // slices of a set of rows
  slice_rows: u32,
  first_slice: u32, // of `partial` that this dispatch writes
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> x2: array<T>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec2f>; // [sets, slices, channels]: mean, squared deviations

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  let slice = id.y;
  let unit = id.z;
  if (c >= p.channels) {
    return;
  }
  let begin = slice * p.slice_rows;
  let end = min(begin + p.slice_rows, p.rows);
  let n = f32(end - begin);
  var sum = 0f;
  var squares = 0f;
  var shift = 0f;
  if (c < p.first) {
    let at = unit * p.rows * p.first + c;
    shift = f32(x[at + begin * p.first]);
    for (var r = begin; r < end; r++) {
      let d = f32(x[at + r * p.first]) - shift;
      sum += d;
      squares += d * d;
    }
  } else {
    let width = p.channels - p.first;
    let at = unit * p.rows * width + c - p.first;
    shift = f32(x2[at + begin * width]);
    for (var r = begin; r < end; r++) {
      let d = f32(x2[at + r * width]) - shift;
      sum += d;
      squares += d * d;
    }
  }
  partial[(p.first_slice + unit * p.slices + slice) * p.channels + c] = vec2f(shift + sum / n, squares - sum * sum / n);
}
