// The product behind `linear` and `conv2d`: y = act(patches(x) · w + bias + rowBias) + residual, where the rows of
// patches(x) are the pixels under the kernel at each output (implicit GEMM, never stored). Checks are the callers';
// here: packing, choice of variant, slices that fit the adapter's bindings.

import { bytesPerElement, type DType } from "../src/tensor/dtype.js";
import { specialize, type Replacements } from "../src/gpu/wgsl.js";
import type { Capabilities } from "../src/gpu/limits.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { ACTIVATIONS, type Activation } from "./elementwise.js";

/** Which shader runs: `plain` is the readable reference and fits everything. */
export type GemmVariant = "plain" | "cpu";

/** Sizes of one convolution; a linear layer is `rows` frames of one pixel. */
export interface Geometry {
  readonly frames: number;
  /** x in memory. */
  readonly source: readonly [number, number];
  /** x as the kernel sees it, after upsampling. */
  readonly input: readonly [number, number];
  readonly output: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly top: number;
  readonly left: number;
}

export interface Epilogue {
  readonly x2?: Tensor | undefined;
  readonly bias?: Tensor | undefined;
  readonly rowBias?: Tensor | undefined;
  readonly residual?: Tensor | undefined;
  readonly activation?: Activation | undefined;
  readonly geglu?: boolean | undefined;
  /** Forces a variant, for tests and comparisons. */
  readonly variant?: GemmVariant | undefined;
}

/** Columns of a panel of packed weights: those that one subgroup computes. */
function panelOf(outputs: number): number {
  return outputs <= 8 ? 8 : outputs <= 16 ? 16 : 32;
}

/**
 * Raw weights `[N_i, K, taps…]` (f32 or f16), side by side along N, as panels `[panels, taps, K to a multiple of 8, panel]`.
 * f16 panels hold pairs of inputs in one word, whether or not the adapter computes in f16. Panels narrower than 32 columns
 * stay f32: such weights are small, and their kernels few.
 */
export function packGemm(raw: readonly Tensor[], dtype: "f32" | "f16", geglu: boolean, label: string): Tensor {
  const { device } = raw[0]!;
  const outputs = raw.reduce((n, r) => n + r.shape[0]!, 0);
  const inputs = raw[0]!.shape[1]!;
  const taps = raw[0]!.shape.slice(2).reduce((n, d) => n * d, 1);
  const panel = panelOf(outputs);
  const padded = Math.ceil(inputs / 8) * 8;
  const columns = Math.ceil(outputs / panel) * panel;
  const result: DType = panel === 32 ? dtype : "f32";
  const packed = Tensor.empty(device, [columns / panel, taps, padded, panel], result, label);
  for (const t of [...raw, packed])
    if (t.bytes > device.capabilities.maxBinding)
      throw new Error(
        `${label}: ${String(t)} exceeds the adapter's largest binding of ${device.capabilities.maxBinding} bytes; load the weights as f16`,
      );
  let first = 0;
  raw.forEach((r, i) => {
    const own = r.shape[0]!;
    const count = i === raw.length - 1 ? columns - first : own;
    const depth = (taps * padded) / (result === "f16" ? 2 : 1);
    device.dispatch({
      label: `pack ${label}`,
      code: shaders["gemm-pack"],
      bindings: [r.binding(), packed.binding()],
      params: [
        own,
        inputs,
        taps,
        padded,
        panel,
        first,
        count,
        Number(r.dtype === "f16"),
        Number(result === "f16"),
        Number(geglu),
      ],
      workgroups: [Math.ceil(count / 64), depth, 1],
      flops: 0,
      bytes: r.bytes + packed.bytes,
    });
    first += own;
  });
  return packed;
}

/** Output frames and rows of one dispatch, and the rows of x that they read. */
interface Slice {
  readonly frame: number;
  readonly frames: number;
  readonly row: number;
  readonly rows: number;
  readonly sourceRow: number;
  readonly sourceRows: number;
}

/** The product of x's patches and packed weights into `y` `[frames · output pixels, outputs or outputs/2]`. */
export function gemm(
  x: Tensor,
  packed: Tensor,
  outputs: number,
  y: Tensor,
  g: Geometry,
  e: Epilogue,
  label: string,
): void {
  const { device, dtype } = x;
  const { capabilities } = device;
  const [, , padded, panel] = packed.shape as [number, number, number, number];
  const c1 = x.shape.at(-1)!;
  const c2 = e.x2?.shape.at(-1) ?? 0;
  const width = e.geglu ? outputs / 2 : outputs;
  const pixels = g.source[0] * g.source[1];
  const [outH, outW] = g.output;
  const unit = bytesPerElement(dtype);
  const activation = ACTIVATIONS[e.activation ?? "none"];
  const variant = e.variant ?? choose(capabilities, c1, c2);
  const code =
    variant === "cpu"
      ? specialize(shaders["gemm-cpu"], cpuReplacements(dtype, packed, c1, c2, e.geglu ?? false, activation))
      : specialize(shaders.gemm, { T: dtype, GEGLU: e.geglu ?? false, activate: shaders["lib/activations"] });

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
    const ranges = [
      span(x, sourceFrom * c1, sourceCount * c1),
      span(e.x2, sourceFrom * c2, sourceCount * c2),
      span(packed, 0, packed.size),
      span(e.bias, 0, outputs),
      span(e.rowBias, 0, e.rowBias?.size ?? 0),
      span(e.residual, from * width, rows * width),
      span(y, from * width, rows * width),
    ] as const;
    const [tile, columns] = variant === "cpu" ? [16, panel] : [8, 8];
    const groups = Math.ceil(rows / tile);
    const groupsX = Math.min(groups, capabilities.maxWorkgroups);
    device.dispatch({
      label,
      code,
      bindings: ranges.map((r) => r.binding),
      params: [
        ...[
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
        ],
        ...[s.sourceRows, s.sourceRow, s.row, ranges[0].skip, ranges[1].skip, ranges[6].skip, ranges[5].skip, s.frame],
        e.rowBias ? g.frames / e.rowBias.shape[0]! : 0,
        ...[
          Number(e.bias !== undefined),
          Number(e.residual !== undefined),
          Number(packed.dtype === "f16"),
          activation,
          groupsX,
        ],
      ],
      workgroups: [groupsX, Math.ceil((variant === "cpu" ? outputs : width) / columns), Math.ceil(groups / groupsX)],
      flops: 2 * rows * outputs * (c1 + c2) * g.kernel[0] * g.kernel[1],
      bytes: (sourceCount * (c1 + c2) + rows * width * (e.residual ? 2 : 1)) * unit + packed.bytes,
    });
  }
}

/** The fastest variant that this adapter and these channels allow. */
function choose(c: Capabilities, c1: number, c2: number): GemmVariant {
  // The CPU variant takes eight channels of one source at a time.
  const fits = c2 === 0 || c1 % 8 === 0;
  return c.kind === "cpu" && c.subgroups && c.subgroupSize === 8 && fits ? "cpu" : "plain";
}

function cpuReplacements(
  dtype: DType,
  packed: Tensor,
  c1: number,
  c2: number,
  geglu: boolean,
  activation: number,
): Replacements {
  const panel = packed.shape[3]!;
  const wide = (dtype === "f32" ? 4 : 8) as 4 | 8;
  const any = c1 % wide !== 0 || c2 % wide !== 0;
  const kind = any ? "any" : "f16";
  const lanes = { 8: "f32", 16: "vec2<f32>", 32: "vec4<f32>" }[panel] ?? "";
  return {
    T: dtype,
    X: any ? dtype : dtype === "f32" ? "vec4<f32>" : "vec4<u32>",
    V: lanes,
    W: packed.dtype === "f16" ? "vec4<u32>" : lanes,
    COLUMNS: panel / 8,
    CONCAT: c2 > 0,
    GEGLU: geglu,
    ACTIVATION: activation,
    activate: shaders["lib/activations"],
    ...(any || dtype === "f16" ? { octet: shaders[`lib/octet-${kind}`], octet2: shaders[`lib/octet2-${kind}`] } : {}),
    ...(packed.dtype === "f16" ? { quad: shaders["lib/quad-f16"] } : {}),
    ...(panel === 8 ? { spread: shaders["lib/spread-1"] } : panel === 16 ? { spread: shaders["lib/spread-2"] } : {}),
  };
}

/**
 * Slices whose ranges fit the adapter's bindings: whole frames if one fits, else rows of single frames, each with the
 * neighbouring rows of x that its kernel reaches. `inBytes`, `outBytes`: of one pixel.
 */
export function* slices(
  g: Geometry,
  inBytes: number,
  outBytes: number,
  { maxBinding, alignment }: Pick<Capabilities, "maxBinding" | "alignment">,
  label: string,
): Generator<Slice> {
  const [outH, outW] = g.output;
  const [srcH, srcW] = g.source;
  const room = maxBinding - alignment;
  const whole = g.frames * Math.max(srcH * srcW * inBytes, outH * outW * outBytes) <= maxBinding;
  const perFrame = Math.max(srcH * srcW * inBytes, outH * outW * outBytes);
  const fit = whole
    ? g.frames
    : perFrame <= maxBinding && perFrame % alignment === 0
      ? Math.floor(maxBinding / perFrame)
      : Math.floor(room / perFrame);
  for (let frame = 0; fit > 0 && frame < g.frames; frame += fit)
    yield { frame, frames: Math.min(fit, g.frames - frame), row: 0, rows: outH, sourceRow: 0, sourceRows: srcH };
  if (fit > 0) return;
  const reach = (row: number, rows: number) => {
    const clamp = (i: number) => Math.floor((Math.min(Math.max(i, 0), g.input[0] - 1) * srcH) / g.input[0]);
    const from = clamp(row * g.stride - g.top);
    return [from, clamp((row + rows - 1) * g.stride - g.top + g.kernel[0] - 1) - from + 1] as const;
  };
  for (let frame = 0; frame < g.frames; frame++)
    for (let row = 0; row < outH;) {
      let rows = outH - row;
      while (rows > 0 && (rows * outW * outBytes > room || reach(row, rows)[1] * srcW * inBytes > room)) rows--;
      if (rows === 0)
        throw new Error(`${label}: one row of pixels exceeds the adapter's largest binding of ${maxBinding} bytes`);
      const [sourceRow, sourceRows] = reach(row, rows);
      yield { frame, frames: 1, row, rows, sourceRow, sourceRows };
      row += rows;
    }
}
