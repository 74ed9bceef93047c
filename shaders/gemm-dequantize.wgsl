// 8-bit codes and scales (see gemm-quantize.wgsl) to packed f16 weights, just before a product reads them: whatever gemm
// variant runs then needs to know nothing of codes. One invocation a word of codes: four rows of a column.

const GROUP: u32 = 64u; // see gemm-quantize.wgsl

struct Params {
  depth: u32, // rows of a panel
  panel: u32, // columns of a panel
  groups: u32, // of a panel
  words: u32, // of codes
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read_write> packed: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>) {
  let i = id.x + id.y * count.x * 64u;
  if (i >= p.words) {
    return;
  }
  let column = i % p.panel;
  let row = i / p.panel * 4u; // of all panels
  let group = row / p.depth * p.groups + row % p.depth / GROUP;
  let at = group * p.panel + column;
  let scale = unpack2x16float(scales[at / 2u])[at % 2u];
  let word = vec4<i32>(bitcast<i32>(codes[i]));
  // Shifted up and down again, each byte brings its sign.
  let w = vec4<f32>((word << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u)) * scale;
  packed[row / 2u * p.panel + column] = pack2x16float(w.xy);
  packed[(row / 2u + 1u) * p.panel + column] = pack2x16float(w.zw);
}
