// The product behind `linear` and `conv2d`: y = act(patches(x) · w + bias + rowBias) + residual, where the rows of
// patches(x) are the pixels under the kernel at each output (implicit GEMM, never stored). Checks are the callers';
// here: packing, choice of variant, slices that fit the adapter's bindings.

import { bytesPerElement, type DType } from "../src/tensor/dtype.js";
import { specialize, type Replacements } from "../src/gpu/wgsl.js";
import type { Capabilities } from "../src/gpu/limits.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { sizeClass } from "../src/gpu/tuning.js";
import { slices, type Geometry } from "./gemm-slices.js";
import { grid } from "./slices.js";
import { ACTIVATIONS, type Activation } from "./elementwise.js";

/** Which shader runs: `plain` is the readable reference and fits everything. */
export type GemmVariant = "plain" | "cpu" | "block" | "gpu" | "matrix";

export interface Epilogue {
  readonly x2?: Tensor | undefined;
  readonly bias?: Tensor | undefined;
  readonly rowBias?: Tensor | undefined;
  readonly residual?: Tensor | undefined;
  readonly activation?: Activation | undefined;
  readonly geglu?: boolean | undefined;
  /** Forces a variant, for tests and comparisons. */
  readonly variant?: GemmWay | undefined;
}

/** Output pixels of the largest tile, which must be of one frame where frames have matrices of their own. */
export const ROWS_OF_TILES = { cpu: 16, gpu: 64 } as const;

/** A variant, with the number of shares into which its sums are split where there is more than one. */
export type GemmWay = GemmVariant | `${"gpu" | "matrix"}/${number}`;

/**
 * The product of x's patches and packed weights into `y` `[frames · output pixels, outputs or outputs/2]`. With `batched`,
 * where the kernel is one pixel and `ROWS_OF_TILES` divides the pixels of a frame, what would be the weight's taps are
 * matrices of their own, one a frame.
 */
export function gemm(
  x: Tensor,
  packed: Tensor,
  outputs: number,
  y: Tensor,
  g: Geometry,
  e: Epilogue,
  label: string,
  batched = false,
): void {
  const { device, dtype } = x;
  const [, taps, padded] = packed.shape as [number, number, number, number];
  const width = e.geglu ? outputs / 2 : outputs;
  const c1 = x.shape.at(-1)!;
  const c2 = e.x2?.shape.at(-1) ?? 0;
  const activation = ACTIVATIONS[e.activation ?? "none"];
  const matrices = batched ? taps : 1;
  const depth = batched ? padded : taps * padded;
  const operands: Operands = { dtype, packed, c1, c2, geglu: e.geglu ?? false, activation, matrices };
  const rows = y.size / width;
  const ways: readonly [GemmWay, ...GemmWay[]] = e.variant
    ? [e.variant]
    : waysOf(device.capabilities, operands, rows, outputs, depth);
  const site = () =>
    `gemm ${dtype} ${packed.dtype} ${g.kernel.join("x")}${g.stride > 1 ? "/2" : ""} ${sizeClass(rows)} rows ${sizeClass(depth)} deep ${sizeClass(outputs)} outputs${batched ? `, ${matrices} matrices` : ""}`;
  device.tuning.run(site, ways, (way) => {
    dispatch({ x, packed, outputs, y, g, e, label, operands }, way);
  });
}

/** A product with everything that its dispatches depend on but the way of doing it. */
interface Product {
  readonly x: Tensor;
  readonly packed: Tensor;
  readonly outputs: number;
  readonly y: Tensor;
  readonly g: Geometry;
  readonly e: Epilogue;
  readonly label: string;
  readonly operands: Operands;
}

function dispatch({ x, packed, outputs, y, g, e, label, operands }: Product, way: GemmWay): void {
  const [variant, split = "1"] = way.split("/") as [GemmVariant, string?];
  const splits = Number(split);
  const { device, dtype } = x;
  const { capabilities } = device;
  const { c1, c2, geglu, activation, matrices } = operands;
  const [, , padded, panel] = packed.shape as [number, number, number, number];
  const width = geglu ? outputs / 2 : outputs;
  const pixels = g.source[0] * g.source[1];
  const [outH, outW] = g.output;
  const unit = bytesPerElement(dtype);
  const { code, tile, columns } = kernel(variant, operands, splits > 1);

  /** A range of a tensor from an aligned offset on, with the elements to skip. */
  const span = (t: Tensor | undefined, from: number, count: number) => {
    if (!t) return { binding: packed.binding(0, Math.min(packed.bytes, 16)), skip: 0 };
    const start = from * bytesPerElement(t.dtype);
    const aligned = Math.floor(start / capabilities.alignment) * capabilities.alignment;
    return {
      binding: t.binding(aligned, start - aligned + count * bytesPerElement(t.dtype)),
      skip: (start - aligned) / bytesPerElement(t.dtype),
    };
  };

  for (const s of slices(g, Math.max(c1, c2) * unit, width * unit, capabilities, label)) {
    const sourceFrom = s.frame * pixels + s.sourceRow * g.source[1];
    const sourceCount = ((s.frames - 1) * g.source[0] + s.sourceRows) * g.source[1];
    const from = (s.frame * outH + s.row) * outW;
    const rows = s.frames * s.rows * outW;
    const after = [
      span(e.bias, 0, outputs),
      span(e.rowBias, 0, e.rowBias?.size ?? 0),
      span(e.residual, from * width, rows * width),
      span(y, from * width, rows * width),
    ] as const;
    const from1 = span(x, sourceFrom * c1, sourceCount * c1);
    const from2 = span(e.x2, sourceFrom * c2, sourceCount * c2);
    const groups = Math.ceil(rows / tile);
    const groupsX = Math.min(groups, capabilities.maxWorkgroups);
    const params = [
      // sizes
      s.frames,
      s.rows,
      outW,
      outputs,
      c1,
      c2,
      padded,
      panel,
      ...g.kernel,
      g.stride,
      g.top,
      g.left,
      ...g.input,
      ...g.source,
      // this slice
      s.sourceRows,
      s.sourceRow,
      s.row,
      from1.skip,
      from2.skip,
      after[3].skip,
      after[2].skip,
      s.frame,
      // epilogue
      e.rowBias ? g.frames / e.rowBias.shape[0]! : 0,
      Number(e.bias !== undefined),
      Number(e.residual !== undefined),
      Number(packed.dtype === "f16"),
      activation,
      groupsX,
      splits,
      matrices,
    ];
    const follow = after.map((r) => r.binding);
    const pitch = Math.ceil(outputs / 4) * 4;
    using shares = splits > 1 ? Tensor.empty(device, [splits, rows, pitch], "f32", `${label} shares`) : undefined;
    device.dispatch({
      label,
      code,
      bindings: [
        ...(shares ? [...follow.slice(0, 3), shares.binding()] : follow),
        ...[from1, from2, span(packed, 0, packed.size)].map((r) => r.binding),
      ],
      params,
      workgroups: [
        groupsX,
        Math.ceil((variant === "plain" ? width : outputs) / columns),
        Math.ceil(groups / groupsX) * splits,
      ],
      flops: 2 * rows * outputs * (c1 + c2) * g.kernel[0] * g.kernel[1],
      bytes: (sourceCount * (c1 + c2) + rows * width * (e.residual ? 2 : 1)) * unit + packed.bytes,
    });
    if (shares)
      device.dispatch({
        label: `${label} sum`,
        code: specialize(shaders["gemm-sum"], { T: dtype, GEGLU: geglu, ...following(activation) }),
        bindings: [...follow, shares.binding()],
        params,
        workgroups: grid(Math.ceil((rows * pitch) / 256), capabilities),
        flops: 0,
        bytes: 2 * shares.bytes,
      });
  }
}

/**
 * The ways to do a product, the fastest as far as is known first:
 *   plain   two sources of which the first does not end on a multiple of eight channels; software adapters: single
 *           rows with an activation (the timestep's embedding), not worth the seconds that a pipeline takes to compile
 *   cpu     software adapters with subgroups of 8 lanes; block is slower on llvmpipe, and may not be elsewhere
 *   block   other software adapters (without subgroups not for GEGLU)
 *   matrix  GPUs with 16 × 16 × 16 matrix units on f16, subgroups of 32; at least one such block of work
 *   gpu     other GPUs, f32, narrow layers
 *   …/8     sums split in eight where there are few tiles of 64 × 64 and they are deep (16 steps of 16 channels a share
 *           at least): by the table below 32 tiles, which leave any GPU idle; to be tried below 512
 */
function waysOf(
  c: Capabilities,
  o: Operands,
  rows: number,
  outputs: number,
  depth: number,
): readonly [GemmWay, ...GemmWay[]] {
  if (o.c2 > 0 && o.c1 % 8 !== 0) return ["plain"];
  if (c.kind === "cpu" && rows < 8 && o.activation !== ACTIVATIONS.none) return ["plain"];
  if (c.kind === "cpu" && o.geglu && !c.subgroups) return ["plain"];
  if (c.kind === "cpu") return c.subgroups && c.subgroupSize === 8 ? ["cpu", "block"] : ["block"];
  const half = o.dtype === "f16" && o.packed.dtype === "f16";
  const matrix = half && c.subgroupMatrix && c.subgroupSize === 32 && rows >= 16 && outputs >= 16;
  const variants = matrix ? (["matrix", "gpu"] as const) : (["gpu"] as const);
  const tiles = Math.ceil(rows / 64) * Math.ceil(outputs / 64);
  const splits = [8, 4, 2].filter(
    (n) => rows >= 16 && tiles < 512 && depth >= n * 256 && n * rows * (outputs + 3) * 4 <= c.maxBinding,
  );
  const split = variants.flatMap((v) => splits.map((n): GemmWay => `${v}/${n}`));
  return tiles < 32 && split.length > 0
    ? [split[0]!, ...split.slice(1), ...variants]
    : [variants[0], ...variants.slice(1), ...split];
}

/** Reading of f16 weights, and widening to four columns, by columns of a lane. */
const QUADS = { 1: shaders["lib/quad-f16-1"], 2: shaders["lib/quad-f16-2"], 4: shaders["lib/quad-f16-4"] };
const SPREADS = { 1: shaders["lib/spread-1"], 2: shaders["lib/spread-2"] };

/** Reading of activations, from one source and the other; as the shaders stand, f32 in units of four. */
export const LOADS = {
  fours: {
    any: { four: shaders["lib/four-any"], four2: shaders["lib/four2-any"] },
    f16: { four: shaders["lib/four-f16"], four2: shaders["lib/four2-f16"] },
    f32: {},
  },
  octets: {
    any: { octet: shaders["lib/octet-any"], octet2: shaders["lib/octet2-any"] },
    f16: { octet: shaders["lib/octet-f16"], octet2: shaders["lib/octet2-f16"] },
    f32: {},
  },
} as const;

/** What a kernel is specialised for. */
interface Operands {
  readonly dtype: DType;
  readonly packed: Tensor;
  readonly c1: number;
  readonly c2: number;
  readonly geglu: boolean;
  readonly activation: number;
  /** Of the weights, one a frame; 1: all frames share one. */
  readonly matrices: number;
}

/** What follows a sum, for one kind of activation. */
function following(activation: number): Replacements {
  return { ACTIVATION: activation, finish: shaders["lib/finish"] + shaders["lib/activations"] };
}

/** A variant's shader with the output pixels and columns of a workgroup; `share`: of one that leaves shares of sums. */
function kernel(variant: GemmVariant, o: Operands, share = false): { code: string; tile: number; columns: number } {
  const { dtype, packed, c1, c2, geglu, activation } = o;
  if (variant === "plain") {
    const code = specialize(shaders.gemm, { T: dtype, GEGLU: geglu, activate: shaders["lib/activations"] });
    return { code, tile: 8, columns: 8 };
  }
  const panel = packed.shape[3]!;
  const half = packed.dtype === "f16";
  if (variant === "block") {
    const code = specialize(shaders["gemm-block"], {
      T: dtype,
      PANEL: `${panel}u`,
      CONCAT: c2 > 0,
      GEGLU: geglu,
      ACTIVATION: activation,
      activate: shaders["lib/activations"],
      ...(half && { W: "u32", weight: shaders["lib/weight-f16"] }),
    });
    return { code, tile: 16, columns: panel };
  }
  // The channels of a load: 4 in gemm-cpu, 8 in the others; f16 pixels that are no multiple of it are read one by one.
  const wide = variant === "cpu" || dtype === "f32" ? 4 : 8;
  const any = c1 % wide !== 0 || c2 % wide !== 0;
  const units = dtype === "f32" ? "vec4<f32>" : variant === "cpu" ? "vec2<u32>" : "vec4<u32>";
  const common: Replacements = {
    ...(share
      ? { T: "f32", finish: shaders["lib/finish-share"] }
      : { T: dtype, GEGLU: geglu, ...following(activation) }),
    X: any ? dtype : units,
    CONCAT: c2 > 0,
    ...LOADS[variant === "cpu" ? "fours" : "octets"][any ? "any" : dtype === "f16" ? "f16" : "f32"],
  };
  if (variant === "gpu" || variant === "matrix") {
    const shader = variant === "gpu" ? shaders["gemm-gpu"] : shaders["gemm-matrix"];
    const pair = half ? { W: "vec4<u32>", pair: shaders["lib/pair-f16"] } : {};
    return { code: specialize(shader, { ...common, ...pair }), tile: 64, columns: 64 };
  }
  const lane = (panel / 8) as 1 | 2 | 4;
  const of = (type: string) => (lane === 1 ? type : `vec${lane}<${type}>`);
  const code = specialize(shaders["gemm-cpu"], {
    ...common,
    V: of("f32"),
    W: of(half ? "u32" : "f32"),
    COLUMNS: lane,
    ...(half ? { quad: QUADS[lane] } : {}),
    ...(lane === 4 ? {} : { spread: SPREADS[lane] }),
  });
  return { code, tile: 16, columns: panel };
}
