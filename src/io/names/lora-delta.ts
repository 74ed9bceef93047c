// The change a LoRA module makes to its weight, worked out on the host in f32, for the forms that are more than one product:
//   lora  α/r · up · down;   with mid (LoCon): α/r · Σ_ij up[o,i] mid[i,j,k,l] down[j,c]
//   loha  α/r · (w1a·w1b) ⊙ (w2a·w2b);   with Tucker cores: w = Σ_ij t[i,j,k,l] w_b[j,c] w_a[i,o]
//   lokr  α/r · w1 ⊗ w2   (scale 1 without a rank)
//   diff  the difference itself
// Sources: Hu et al. 2106.09685, Hyeon-Woo et al. 2108.06098 (LoHa), Edalati et al. 2212.10650 (LoKr); conventions as in
// LyCORIS. DoRA's magnitudes are applied to the sum on the device (kernels/dora.ts).

import { CheckpointError } from "../errors.js";
import type { WeightFile } from "../weight-files.js";
import type { LoraModule } from "./lora.js";

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

async function read(file: WeightFile, name: string, rows?: number): Promise<Matrix> {
  const { shape } = file.entry(name);
  const data = new Float32Array((await file.read(name, "f32")).slice().buffer);
  const r = rows ?? shape[0] ?? 1;
  return { rows: r, columns: r === 0 ? 0 : data.length / r, data };
}

function product(file: WeightFile, a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.rows)
    throw new CheckpointError(
      `${file.name}: a LoRA multiplies [${a.rows}, ${a.columns}] by [${b.rows}, ${b.columns}]; the file is damaged`,
    );
  const data = new Float32Array(a.rows * b.columns);
  for (let i = 0; i < a.rows; i++)
    for (let k = 0; k < a.columns; k++) {
      const x = a.data[i * a.columns + k]!;
      if (x === 0) continue;
      const [from, to] = [k * b.columns, i * b.columns];
      for (let j = 0; j < b.columns; j++) data[to + j]! += x * b.data[from + j]!;
    }
  return { rows: a.rows, columns: b.columns, data };
}

/** `Σ_ij core[i, j, s] · first[i, o] · second[j, c]` as `[o, c·s]`; core `[r1, r2, space…]`. */
async function tucker(file: WeightFile, core: string, first: Matrix, second: Matrix): Promise<Matrix> {
  const { shape } = file.entry(core);
  const [r1 = 0, r2 = 0] = shape;
  const space = shape.slice(2).reduce((n, s) => n * s, 1);
  const t = await read(file, core);
  if (first.rows !== r1 || second.rows !== r2)
    throw new CheckpointError(`${file.name}: ${core} does not fit its factors; the file is damaged`);
  // [r1, r2, s] with [r2, c] → [r1, c·s], then with [r1, o] → [o, c·s].
  const inner = new Float32Array(r1 * second.columns * space);
  for (let i = 0; i < r1; i++)
    for (let j = 0; j < r2; j++)
      for (let c = 0; c < second.columns; c++) {
        const x = second.data[j * second.columns + c]!;
        for (let s = 0; s < space; s++)
          inner[(i * second.columns + c) * space + s]! += x * t.data[(i * r2 + j) * space + s]!;
      }
  return product(file, transposed(first), { rows: r1, columns: second.columns * space, data: inner });
}

function transposed({ rows, columns, data }: Matrix): Matrix {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!;
  return { rows: columns, columns: rows, data: out };
}

/**
 * A module's change, scaled by alpha / rank (not by the user's weight), row-major in the weight's shape.
 * @throws CheckpointError when it has not the weight's number of elements
 */
export async function loraDelta(file: WeightFile, module: LoraModule, shape: readonly number[]): Promise<Float32Array> {
  const elements = shape.reduce((n, s) => n * s, 1);
  const delta = await unscaled(file, module, shape);
  if (delta.length !== elements)
    throw new CheckpointError(
      `${file.name}: a LoRA changes ${delta.length} elements of a weight [${shape.join(", ")}], which has ${elements}: it is made for another model`,
    );
  const scale = module.type === "diff" || module.rank === 0 ? 1 : module.alpha / module.rank;
  if (scale !== 1) for (let i = 0; i < delta.length; i++) delta[i]! *= scale;
  return delta;
}

async function unscaled(file: WeightFile, module: LoraModule, shape: readonly number[]): Promise<Float32Array> {
  switch (module.type) {
    case "lora": {
      const [up, down] = [await read(file, module.up), await read(file, module.down)];
      if (module.mid === undefined) return product(file, up, down).data;
      return (await tucker(file, module.mid, transposed(up), down)).data;
    }
    case "loha": {
      const sides: Matrix[] = [];
      for (const [a, b, core] of [
        [module.w1a, module.w1b, module.t1],
        [module.w2a, module.w2b, module.t2],
      ] as const) {
        const [wa, wb] = [await read(file, a), await read(file, b)];
        sides.push(core === undefined ? product(file, wa, wb) : await tucker(file, core, wa, wb));
      }
      const [x, y] = [sides[0]!.data, sides[1]!.data];
      if (x.length !== y.length)
        throw new CheckpointError(`${file.name}: the two sides of a LoHa differ in size; the file is damaged`);
      return x.map((v, i) => v * y[i]!);
    }
    case "lokr": {
      const whole = async (w: readonly [string] | readonly [string, string]): Promise<Matrix> =>
        w.length === 1 ? read(file, w[0]) : product(file, await read(file, w[0]), await read(file, w[1]));
      const w1 = await whole(module.w1);
      const w2 =
        module.t2 !== undefined && module.w2.length === 2
          ? await tucker(file, module.t2, await read(file, module.w2[0]), await read(file, module.w2[1]))
          : await whole(module.w2);
      return kronecker(w1, w2, shape);
    }
    default:
      return (await read(file, module.diff)).data;
  }
}

/** w1 `[o1, i1]` ⊗ w2 `[o2, i2·space]` → `[o1·o2, i1·i2, space]`. */
function kronecker(w1: Matrix, w2: Matrix, shape: readonly number[]): Float32Array {
  const space = shape.slice(2).reduce((n, s) => n * s, 1);
  const i2 = w2.columns / space;
  const out = new Float32Array(w1.data.length * w2.data.length);
  let at = 0;
  for (let a = 0; a < w1.rows; a++)
    for (let b = 0; b < w2.rows; b++)
      for (let c = 0; c < w1.columns; c++) {
        const x = w1.data[a * w1.columns + c]!;
        for (let d = 0; d < i2 * space; d++) out[at++] = x * w2.data[b * w2.columns + d]!;
      }
  return out;
}
