// Winograd's F(2 × 2, 3 × 3) for convolutions of 3 × 3 and stride 1 (Lavin and Gray 2015): pixels and weights are
// transformed so that the four outputs of a 2 × 2 tile take 16 products a channel instead of 36, or 9 where x is doubled by
// nearest upsampling first. Weights are transformed once, when they are packed; they then take 16/9 of the memory (doubled:
// the same). A convolution is three dispatches: the input's transform, a product of 16 (9) matrices by those of `gemm`,
// and the output's transform with what follows the sums. Run in slices, so that the transforms stay small.

import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { Capabilities } from "../src/gpu/limits.js";
import { specialize, type Replacements } from "../src/gpu/wgsl.js";
import { shaders } from "../shaders/index.js";
import { ACTIVATIONS } from "./elementwise.js";
import { gemm, type Epilogue } from "./gemm.js";
import { slices, type Geometry, type Slice } from "./gemm-slices.js";
import { ROWS_OF_TILES } from "./gemm-ways.js";
import { units, window } from "./vectors.js";

/** How a convolution's weights are packed: as they are, or transformed (`doubled`: for an input that is doubled first). */
export type ConvForm = "direct" | "winograd" | "doubled";

/** Points a side of a tile's transform. */
export const SIDE = { winograd: 4, doubled: 3 } as const;

/** A layer's sizes, as far as they are known before it runs. */
export interface ConvLayer {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  /** Always used with upsampling to twice the size, or one less, and with padding of 1 on all sides. */
  readonly doubled: boolean;
}

/**
 * From how many channels on transforming pays, as inputs · outputs / (inputs + outputs): transforms take time by their sum,
 * products by their product. Measured on llvmpipe, see docs/performance.md.
 */
const LEAST = { winograd: 48, doubled: 32 } as const;

/**
 * The form in which a layer's weights are to be packed: transformed on software adapters with subgroups of 8 lanes, where
 * the product itself limits a convolution, from as many channels on as gain (and up to what a binding holds while weights
 * are transformed, in f32). On GPUs direct: larger tiles with their loops written out gained more than Winograd did with
 * smaller ones (an H200, with tensor cores and without); both together have not been measured.
 */
export function convForm({ inputs, outputs, kernel, stride, doubled }: ConvLayer, c: Capabilities): ConvForm {
  const form = doubled ? "doubled" : "winograd";
  const fits = kernel === 3 && stride === 1 && inputs % 4 === 0 && outputs % 4 === 0;
  if (!fits || inputs * outputs * SIDE[form] ** 2 * 4 > c.maxBinding) return "direct";
  const gains = c.kind === "cpu" && c.subgroups && c.subgroupSize === 8;
  return gains && inputs * outputs >= LEAST[form] * (inputs + outputs) ? form : "direct";
}

/**
 * Each of the two intermediate tensors stays within so many bytes, or what a row of tiles, or four tiles of a product, need: a CPU's cache holds
 * both (on llvmpipe 5 % faster than four times as much), a GPU wants longer dispatches.
 */
const SCRATCH_BYTES = { cpu: 2 ** 22, gpu: 2 ** 25 } as const;

/**
 * The convolution of x with weights packed as `form`, into `y` `[frames, height, width, outputs]`; channels of x, x2 and y
 * are multiples of 4. `doubled` wants padding of 1 on all sides and an input of twice x's size, or one less.
 * @throws Error where channels, padding or upsampling do not fit
 */
export function winograd(
  x: Tensor,
  packed: Tensor,
  form: "winograd" | "doubled",
  y: Tensor,
  g: Geometry,
  e: Epilogue,
  label: string,
): void {
  const outputs = y.shape.at(-1)!;
  const [c1, c2] = [x.shape.at(-1)!, e.x2?.shape.at(-1) ?? 0];
  if ([c1, c2, outputs].some((c) => c % 4 !== 0))
    throw new Error(
      `${label}: weights transformed by Winograd want channels in multiples of 4, got ${[String(x), ...(e.x2 ? [String(e.x2)] : []), String(y)].join(", ")}; pack them as form "direct"`,
    );
  checkSizes(g, form, label);
  const { device, dtype } = x;
  const limits = device.capabilities;
  const side = SIDE[form];
  const tiles = [Math.ceil(g.output[0] / 2), Math.ceil(g.output[1] / 2)] as const;
  const padded = packed.shape[2]!;
  const align = limits.kind === "gpu" || !isSmall(e.variant) ? ROWS_OF_TILES.gpu : ROWS_OF_TILES.cpu;
  const tileBytes = side ** 2 * Math.max(padded, outputs) * bytesPerElement(dtype);
  const least = Math.max(4 * align, tiles[1] + align) * tileBytes + limits.alignment;
  const scratch = Math.max(SCRATCH_BYTES[limits.kind], least);
  const room = Math.min(limits.maxBinding, scratch) - (align - 1) * tileBytes;
  // As a convolution that reads 4 × 4 pixels from every second one on.
  const asTiles: Geometry = { ...g, output: tiles, kernel: [4, 4], stride: 2 };
  const xBytes = Math.max(c1, c2) * bytesPerElement(dtype);
  const parts = [...slices(asTiles, xBytes, tileBytes, { maxBinding: room, alignment: limits.alignment }, label)];
  const pitchOf = (s: Slice) => Math.ceil((s.frames * s.rows * tiles[1]) / align) * align;
  device.scope(() => {
    const most = side ** 2 * Math.max(...parts.map(pitchOf));
    const pixels = Tensor.empty(device, [most, padded], dtype, `${label} pixels`);
    const products = Tensor.empty(device, [most, outputs], dtype, `${label} products`);
    for (const s of parts) {
      const pitch = pitchOf(s);
      const v = pixels.slice(0, side ** 2 * pitch).reshape([side ** 2, pitch, padded]);
      const m = products.slice(0, side ** 2 * pitch).reshape([side ** 2, pitch, outputs]);
      const part = { x, y, v, m, g, e, s, form, tiles, pitch, label };
      input(part);
      const matrices = { frames: side ** 2, source: [pitch, 1], input: [pitch, 1], output: [pitch, 1] } as const;
      const single = { kernel: [1, 1], stride: 1, top: 0, left: 0 } as const;
      gemm(v, packed, outputs, m, { ...matrices, ...single }, { variant: e.variant }, label, true);
      output(part);
    }
  });
}

/** One slice of the work. */
interface Part {
  readonly x: Tensor;
  readonly y: Tensor;
  /** Transformed pixels `[points, pitch, inputs padded]`. */
  readonly v: Tensor;
  /** Their products `[points, pitch, outputs]`. */
  readonly m: Tensor;
  readonly g: Geometry;
  readonly e: Epilogue;
  /** In rows of tiles. */
  readonly s: Slice;
  readonly form: "winograd" | "doubled";
  readonly tiles: readonly [number, number];
  readonly pitch: number;
  readonly label: string;
}

function input({ x, v, g, e, s, form, tiles, pitch, label }: Part): void {
  const { device, dtype } = x;
  const { lanes, width: unit, code } = unitsOf(x);
  const [height, width] = g.source;
  const units = v.shape[2]! / unit;
  const from = (s.frame * height + s.sourceRow) * width;
  const count = ((s.frames - 1) * height + s.sourceRows) * width;
  const part = (t: Tensor) => window(t, from * t.shape.at(-1)!, count * t.shape.at(-1)!, 1);
  const [first, second] = [part(x), e.x2 && part(e.x2)];
  const doubled = form === "doubled";
  device.dispatch({
    label: `${label} input`,
    code: specialize(shaders["winograd-input"], {
      ...code,
      ...(doubled ? { SIDE: "3u", forward: shaders["lib/winograd-forward-doubled"] } : {}),
      CONCAT: second !== undefined,
      LANES: `${lanes}u`,
    }),
    bindings: [first.binding, (second ?? first).binding, v.binding()],
    params: [
      units,
      x.shape.at(-1)! / unit,
      (e.x2?.shape.at(-1) ?? 0) / unit,
      s.rows,
      tiles[1],
      doubled ? 1 : 2,
      doubled ? 1 : g.top,
      doubled ? 1 : g.left,
      height,
      width,
      s.sourceRows,
      s.sourceRow,
      s.row,
      first.skip / unit,
      (second?.skip ?? 0) / unit,
      pitch,
    ],
    workgroups: [tiles[1], s.frames * s.rows, 1],
    flops: (doubled ? 12 : 32) * s.frames * s.rows * tiles[1] * units * unit,
    bytes: count * units * unit * bytesPerElement(dtype) + v.bytes,
  });
}

function output({ y, m, g, e, s, form, tiles, pitch, label }: Part): void {
  const { device } = y;
  const { lanes, width: unit, code } = unitsOf(y);
  const outputs = y.shape.at(-1)!;
  const [height, width] = g.output;
  const rows = Math.min(2 * s.rows, height - 2 * s.row);
  const from = (s.frame * height + 2 * s.row) * width;
  const count = s.frames * rows * width;
  const part = (t: Tensor) => window(t, from * outputs, count * outputs, 1);
  const [goal, residual] = [part(y), e.residual && part(e.residual)];
  const activation = ACTIVATIONS[e.activation ?? "none"];
  const doubled = form === "doubled";
  const none = m.binding(0, Math.min(m.bytes, 16));
  device.dispatch({
    label: `${label} output`,
    code: specialize(shaders["winograd-output"], {
      ...code,
      ...(doubled ? { SIDE: "3u", back: shaders["lib/winograd-back-doubled"] } : {}),
      ACTIVATION: `${activation}u`,
      ...(activation === ACTIVATIONS.none ? {} : { activated: ACTIVATED[unit] + shaders["lib/activations"] }),
      LANES: `${lanes}u`,
    }),
    bindings: [
      m.binding(),
      e.bias?.binding() ?? none,
      e.rowBias?.binding() ?? none,
      residual?.binding ?? none,
      goal.binding,
    ],
    params: [
      outputs / unit,
      s.rows,
      tiles[1],
      pitch,
      rows,
      width,
      goal.skip / unit,
      (residual?.skip ?? 0) / unit,
      s.frame,
      e.rowBias ? g.frames / e.rowBias.shape[0]! : 0,
      Number(e.bias !== undefined),
      Number(e.residual !== undefined),
    ],
    workgroups: [tiles[1], s.frames * s.rows, 1],
    flops: (doubled ? 10 : 24) * s.frames * s.rows * tiles[1] * outputs,
    bytes: m.bytes + count * outputs * bytesPerElement(y.dtype) * (e.residual ? 2 : 1),
  });
}

/**
 * Channels of an invocation, and lanes of a workgroup. A software adapter loads lane by lane, and compiles every load as many
 * times: the fewer words, the sooner. It runs lanes eight at a time, those beyond the channels as well.
 */
function unitsOf({ dtype, device }: Tensor): { width: 1 | 2 | 4; lanes: number; code: Replacements } {
  const { capabilities } = device;
  if (capabilities.kind === "gpu") return { width: 4, lanes: 64, code: units(dtype, 4, capabilities) };
  if (dtype === "f32") return { width: 1, lanes: 8, code: { V: "f32", F: "f32" } };
  const [unpack, pack] = [shaders["lib/unpack-half2"], shaders["lib/pack-half2"]];
  return { width: 2, lanes: 8, code: { V: "u32", F: "vec2f", unpack, pack } };
}

const ACTIVATED = {
  1: shaders["lib/activated-1"],
  2: shaders["lib/activated-2"],
  4: shaders["lib/activated-4"],
} as const;

/** Whether a product's tiles are of the smaller kind. */
function isSmall(variant: Epilogue["variant"]): boolean {
  return variant === undefined || variant === "plain" || variant === "cpu" || variant === "block";
}

function checkSizes(g: Geometry, form: "winograd" | "doubled", label: string): void {
  const fits = ([0, 1] as const).every((i) =>
    form === "winograd"
      ? g.input[i] === g.source[i]
      : Math.ceil(g.input[i] / 2) === g.source[i] && g.output[i] === g.input[i],
  );
  if (!fits || g.stride !== 1 || (form === "doubled" && (g.top !== 1 || g.left !== 1)))
    throw new Error(
      `${label}: weights packed as form "${form}" are for stride 1 and ${form === "winograd" ? "no upsampling" : "upsampling to twice the size (or one less) with padding of 1 on all sides"}, ` +
        `got [${g.source.join(", ")}] upsampled to [${g.input.join(", ")}], stride ${g.stride}, for an output of [${g.output.join(", ")}]`,
    );
}
