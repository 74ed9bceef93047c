// GroupNorm on software adapters, in two dispatches for each source: sums by channel, then their application by threads that
// join a group's sums by themselves. No barriers, which such adapters take long to compile.

import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { bind, mostRows, split, unitWidth, type Moments, type Operands } from "./group-norm-parts.js";
import { grid } from "./slices.js";
import { units, unitType, unpacking } from "./vectors.js";

const LANES = 8;
/** Threads wanted: some for each core, of which each does much. */
const THREADS = 2048;
/** Slices of a set at most: every thread of the second pass reads the moments of all. */
const SLICES = 16;
/** Rows of a slice at most: so many keep a thread's sums exact. */
const ROWS = 4096;

/** Rows of a slice, and of a thread of the second pass: a multiple of 4. */
export function threadRows(rows: number, units: number): number {
  const wanted = Math.max(16, (rows * units) / THREADS);
  return Math.ceil(Math.min(wanted, ROWS) / 4) * 4;
}

/** The sources with the columns of y that are theirs, in units, and runs of their rows. */
function portions(o: Operands, step: number) {
  const { x, options, channels } = o;
  const width = unitWidth(o);
  return split(o, step, x.device.capabilities).flatMap((part) =>
    [x, ...(options.x2 ? [options.x2] : [])].map((t, i) => {
      const own = t.shape.at(-1)! / width;
      const column = i === 0 ? 0 : channels / width - own;
      return { ...part, own, column, size: part.sets * part.rows * own * width, ...bind(t, o, part) };
    }),
  );
}

/** The first pass: `[sets, slices, columns, (mean, squared deviations), width]`. */
export function momentsOnCpu(o: Operands): Moments {
  const { x, label, sets, rows, channels } = o;
  const limits = x.device.capabilities;
  const width = unitWidth(o);
  const columns = channels / width;
  const fewest = Math.min(Math.ceil(rows / SLICES / 4) * 4, ROWS);
  const wanted = Math.max(threadRows(rows, sets * columns), fewest);
  const sliceRows = Math.max(4, Math.min(wanted, Math.floor(mostRows(o, limits) / 4) * 4));
  const slices = Math.ceil(rows / sliceRows);
  const partial = Tensor.empty(x.device, [sets, slices, columns, 2, width], "f32", "groupNorm moments");
  for (const part of portions(o, sliceRows)) {
    const n = Math.ceil(part.rows / sliceRows);
    const threads = part.sets * n * part.own;
    x.device.dispatch({
      label: `${label} moments`,
      code: specialize(shaders["group-norm-cpu-sums"], {
        V: unitType(x.dtype, width, limits),
        F: width === 4 ? "vec4f" : "f32",
        LANES: `${LANES}u`,
        ...unpacking(x.dtype, width, limits),
      }),
      bindings: [part.binding, partial.binding()],
      params: [
        part.rows,
        part.own,
        columns,
        part.column,
        n,
        sliceRows,
        part.set * slices + part.row / sliceRows,
        part.skip,
        threads,
      ],
      workgroups: grid(Math.ceil(threads / LANES), limits),
      flops: 4 * part.size,
      bytes: part.size * bytesPerElement(x.dtype),
    });
  }
  return { partial, slices, sliceRows, rows };
}

/** The second pass into y, for rows of the sets from `set` on. */
export function applyOnCpu(o: Operands, m: Moments, set: number, y: Tensor): void {
  const { x, options, label, sets, rows, channels } = o;
  const { device, dtype } = x;
  const { groups, eps, weight, bias } = options;
  const limits = device.capabilities;
  const width = unitWidth(o);
  const columns = channels / width;
  const silu = Number(options.activation === "silu");
  const blockRows = Math.min(threadRows(rows, sets * columns), Math.max(4, Math.floor(mostRows(o, limits) / 4) * 4));
  for (const part of portions(o, blockRows)) {
    const target = bind(y, o, part);
    const blocks = Math.ceil(part.rows / blockRows);
    const threads = part.sets * blocks * part.own;
    device.dispatch({
      label,
      code: specialize(shaders["group-norm-cpu-apply"], {
        ...units(dtype, width, limits),
        LANES: `${LANES}u`,
        WIDTH: `${width}u`,
        ...(width === 4 && { I: "vec4u", EACH: "vec4u(0u, 1u, 2u, 3u)" }),
      }),
      bindings: [part.binding, ...[m.partial, weight, bias].map((t) => t.binding()), target.binding],
      params: [
        part.rows,
        part.own,
        columns,
        part.column,
        channels / groups,
        m.slices,
        m.sliceRows,
        m.rows,
        set + part.set,
        blockRows,
        blocks,
        part.skip,
        target.skip,
        threads,
        silu,
        f32Bits(eps),
      ],
      workgroups: grid(Math.ceil(threads / LANES), limits),
      flops: (silu ? 8 : 2) * part.size,
      bytes: 2 * part.size * bytesPerElement(dtype),
    });
  }
}
