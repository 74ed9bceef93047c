// The benchmarked layers as ONNX nodes, for onnxruntime. GroupNorm stands as InstanceNormalization over the groups: the
// fused one has no WebGPU kernel there.

export type Attribute = number | readonly number[];

export interface Node {
  readonly opType: string;
  readonly domain?: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute?: Readonly<Record<string, Attribute>>;
}

/** A layer that can be chained: `node` makes `y` of `x`; `between` turns an output into the next input. */
export interface Layer {
  readonly x: readonly number[];
  readonly y: readonly number[];
  /** Other inputs by name, random numbers of ±`gain`. */
  readonly operands: Readonly<Record<string, readonly number[]>>;
  readonly integers?: Readonly<Record<string, readonly number[]>>;
  /** Keeps chained values near 1. */
  readonly gain: number;
  node(x: string, y: string): Node;
  between?(y: string, x: string): readonly Node[];
}

function convolution(channels: number, size: number): Layer {
  const shape = [1, channels, size, size];
  return {
    x: shape,
    y: shape,
    operands: { w: [channels, channels, 3, 3], b: [channels] },
    gain: Math.sqrt(3 / (9 * channels)),
    node: (x, y) => ({
      opType: "Conv",
      input: [x, "w", "b"],
      output: [y],
      attribute: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
    }),
  };
}

function attention(batch: number, queries: number, keys: number): Layer {
  const shape = [batch, queries, 320];
  return {
    x: shape,
    y: shape,
    operands: { k: [batch, keys, 320], v: [batch, keys, 320] },
    gain: 1,
    node: (x, y) => ({
      opType: "MultiHeadAttention",
      domain: "com.microsoft",
      input: [x, "k", "v"],
      output: [y],
      attribute: { num_heads: 8 },
    }),
  };
}

export const PEER_LAYERS: Readonly<Record<string, Layer>> = {
  "matmul-512": {
    x: [512, 512],
    y: [512, 512],
    operands: { w: [512, 512] },
    gain: Math.sqrt(3 / 512),
    node: (x, y) => ({ opType: "MatMul", input: [x, "w"], output: [y] }),
  },
  "conv3x3-320@32": convolution(320, 32),
  "conv3x3-640@16": convolution(640, 16),
  "conv3x3-1280@8": convolution(1280, 8),
  "linear-1024x320x2560": {
    x: [1024, 320],
    y: [1024, 2560],
    operands: { w: [320, 2560] },
    integers: { from: [0], to: [320], axis: [1] },
    gain: Math.sqrt(3 / 320),
    node: (x, y) => ({ opType: "MatMul", input: [x, "w"], output: [y] }),
    // an eighth of the output is copied between two layers
    between: (y, x) => [{ opType: "Slice", input: [y, "from", "to", "axis"], output: [x] }],
  },
  "attention-self-1024-8x40": attention(1, 1024, 1024),
  "attention-cross-1024x77-8x40": attention(1, 1024, 77),
  "attention-temporal-1024x16-8x40": attention(1024, 16, 16),
  "group-norm-16x32x32x320": {
    x: [16, 32, 10240],
    y: [16, 32, 10240],
    operands: { w: [32], b: [32] },
    gain: 1,
    node: (x, y) => ({ opType: "InstanceNormalization", input: [x, "w", "b"], output: [y] }),
  },
  "layer-norm-16384x320": {
    x: [16384, 320],
    y: [16384, 320],
    operands: { w: [320], b: [320] },
    gain: 1,
    node: (x, y) => ({ opType: "LayerNormalization", input: [x, "w", "b"], output: [y], attribute: { axis: -1 } }),
  },
};
