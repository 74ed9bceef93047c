// The product behind `linear` and `conv2d`: y = act(patches(x) · w + bias + rowBias) + residual, where the rows of
// patches(x) are the pixels under the kernel at each output (implicit GEMM, never stored). Checks are the callers';
// here: packing, choice of variant, slices that fit the adapter's bindings.

import { bytesPerElement } from "../src/tensor/dtype.js";
import { unroll } from "../src/gpu/unroll.js";
import { specialize, type Replacements } from "../src/gpu/wgsl.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { sizeClass } from "../src/gpu/tuning.js";
import { slices, type Geometry } from "./gemm-slices.js";
import { TILES, unfit, waysOf, type GemmVariant, type GemmWay, type Operands, type TiledVariant } from "./gemm-ways.js";
import { grid } from "./slices.js";
import { ACTIVATIONS, type Activation } from "./elementwise.js";

export type { GemmVariant, GemmWay } from "./gemm-ways.js";

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
  const forced = e.variant?.split("/")[0] as GemmVariant | undefined;
  const wanted = forced !== undefined && forced in TILES ? unfit(forced as TiledVariant, operands, outputs) : undefined;
  if (wanted !== undefined) throw new Error(`${label}: variant ${forced} wants ${wanted}, got ${String(x)}`);
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
  const { code: text, tile, columns } = kernel(variant, operands, splits > 1);
  const code = unroll(text, capabilities);

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
  if (variant === "matrix" || variant === "matrix-wide") {
    const after = share
      ? { T: "vec4<f32>", finish: shaders["lib/finish-octet-share"] }
      : {
          GEGLU: geglu,
          ACTIVATION: `${activation}u`,
          finish: shaders["lib/finish-octet"] + shaders["lib/activations"],
        };
    const tile = TILES[variant];
    const sizes = { SIDE: `${tile / 32}u`, PANEL: `${panel}u` };
    const code = specialize(shaders["gemm-matrix"], { ...after, ...sizes, CONCAT: c2 > 0 });
    return { code, tile, columns: tile };
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
  if (variant === "gpu" || variant === "wide") {
    const pair = half ? { W: "vec4<u32>", pair: shaders["lib/pair-f16"] } : {};
    const code =
      variant === "gpu"
        ? specialize(shaders["gemm-gpu"], { ...common, ...pair })
        : specialize(shaders["gemm-wide"], { ...common, ...pair, PANEL: `${panel}u` });
    return { code, tile: TILES[variant], columns: TILES[variant] };
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
