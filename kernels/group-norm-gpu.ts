// GroupNorm on GPUs, in two dispatches: workgroups sum up blocks of whole groups, and join the sums of all slices before they
// write. Two sources are read as one.

import { f32Bits, specialize, type Replacements } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { bind, mostRows, split, unitWidth, type Moments, type Operands } from "./group-norm-parts.js";
import { packing, unitType, unpacking } from "./vectors.js";

const LANES = 256;
/** Lanes wanted in the first pass, and the most slices of a set that they may make. */
const THREADS = 2 ** 17;
const SLICES = 64;
/** Rows of a lane at most, between two joins: so many keep its sums exact. */
const ROWS = 4096;
/** Groups of a block at most, as in group-norm-gpu-apply.wgsl. */
const GROUPS = 32;
/** Units beside each other that are read at full speed: at least 128 bytes. */
const WIDE = 16;

/**
 * Units of a block: whole groups, which divide a row, beside each other on a workgroup's lanes. The smallest that is wide
 * enough for memory. Undefined where groups are wider than that.
 */
export function blockUnits(group: number, groups: number, width: number): number | undefined {
  const blocks = Array.from({ length: Math.min(groups, GROUPS) }, (_, i) => i + 1)
    .filter((n) => groups % n === 0 && (n * group) % width === 0)
    .map((n) => (n * group) / width)
    .filter((units) => units <= LANES);
  return blocks.find((units) => units >= WIDE) ?? blocks.at(-1);
}

/** Replacements for both passes. */
function common(o: Operands): Replacements {
  const { x, options } = o;
  const width = unitWidth(o);
  return {
    V: unitType(x.dtype, width, x.device.capabilities),
    F: width === 4 ? "vec4f" : "f32",
    WIDTH: `${width}u`,
    LANES: `${LANES}u`,
    ...unpacking(x.dtype, width, x.device.capabilities),
    ...(options.x2 && { load: shaders["lib/load-either"] }),
  };
}

/** Units of a row of x and of x2, and of a block; channels of a group. */
function unitsOf(o: Operands, block: number): readonly number[] {
  const first = o.x.shape.at(-1)!;
  return [first, o.channels - first].map((c) => c / unitWidth(o)).concat(block, o.channels / o.options.groups);
}

/** The first pass: `[sets, slices, groups, (mean, squared deviations)]`. `block` as by `blockUnits`. */
export function momentsOnGpu(o: Operands, block: number): Moments {
  const { x, options, label, sets, rows, channels } = o;
  const { groups, x2 } = options;
  const limits = x.device.capabilities;
  const width = unitWidth(o);
  const down = Math.floor(LANES / block);
  const each = Math.ceil((rows * sets * channels) / width / THREADS); // rows of a lane
  const wanted = Math.max(16, each * down, Math.ceil(rows / SLICES));
  const sliceRows = Math.max(4, Math.min(wanted, ROWS * down, mostRows(o, limits)));
  const slices = Math.ceil(rows / sliceRows);
  const partial = Tensor.empty(x.device, [sets, slices, groups, 2], "f32", "groupNorm moments");
  for (const part of split(o, sliceRows, limits)) {
    const [from, from2] = [bind(x, o, part), bind(x2 ?? x, o, part)];
    const size = part.sets * part.rows * channels;
    x.device.dispatch({
      label: `${label} moments`,
      code: specialize(shaders["group-norm-gpu-moments"], {
        ...common(o),
        ...(width === 4 && { channel: shaders["lib/channel-4"] }),
      }),
      bindings: [from.binding, from2.binding, partial.binding()],
      params: [
        part.rows,
        ...unitsOf(o, block),
        slices,
        part.set * slices + part.row / sliceRows,
        sliceRows,
        from.skip,
        from2.skip,
      ],
      workgroups: [channels / width / block, Math.ceil(part.rows / sliceRows), part.sets],
      flops: 4 * size,
      bytes: size * bytesPerElement(x.dtype),
    });
  }
  return { partial, slices, sliceRows, rows };
}

/** The second pass into y, for rows of the sets from `set` on. A lane writes `laneRows` rows. */
export function applyOnGpu(o: Operands, m: Moments, set: number, y: Tensor, block: number, laneRows: number): void {
  const { x, options, label, channels } = o;
  const { device, dtype } = x;
  const { weight, bias, x2 } = options;
  const width = unitWidth(o);
  const silu = Number(options.activation === "silu");
  const runRows = Math.max(1, Math.min(laneRows * Math.floor(LANES / block), mostRows(o, device.capabilities)));
  for (const part of split(o, runRows, device.capabilities)) {
    const [from, from2, to] = [bind(x, o, part), bind(x2 ?? x, o, part), bind(y, o, part)];
    const size = part.sets * part.rows * channels;
    device.dispatch({
      label,
      code: specialize(shaders["group-norm-gpu-apply"], {
        ...common(o),
        ...packing(dtype, width, device.capabilities),
        ...(width === 4 && { spread: shaders["lib/group-spread-4"] }),
      }),
      bindings: [from.binding, from2.binding, ...[m.partial, weight, bias].map((t) => t.binding()), to.binding],
      params: [
        part.rows,
        ...unitsOf(o, block),
        m.slices,
        m.sliceRows,
        m.rows,
        set + part.set,
        runRows,
        from.skip,
        from2.skip,
        to.skip,
        silu,
        f32Bits(options.eps),
      ],
      workgroups: [channels / width / block, Math.ceil(part.rows / runRows), part.sets],
      flops: (silu ? 8 : 2) * size,
      bytes: 2 * size * bytesPerElement(dtype),
    });
  }
}
