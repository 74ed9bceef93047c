// Shapes: checked where they enter an operation, and named in every message.

/** Sizes, outermost first. Activations are channels last: `[frames, height, width, channels]`. */
export type Shape = readonly number[];

/** Number of elements. */
export function elements(shape: Shape): number {
  return shape.reduce((n, d) => n * d, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** "[16, 64, 64, 320]" */
export function shapeText(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

interface Shaped {
  readonly shape: Shape;
  toString(): string;
}

function dims(x: Shaped, n: number, what: string): Shape {
  if (x.shape.length !== n) throw new Error(`${what}: expected ${n} dimensions, got ${String(x)}`);
  return x.shape;
}

/** The two sizes of a matrix. `what` names op and operand in the error: "linear: x". */
export function dims2(x: Shaped, what: string): [number, number] {
  return dims(x, 2, what) as [number, number];
}

export function dims3(x: Shaped, what: string): [number, number, number] {
  return dims(x, 3, what) as [number, number, number];
}

export function dims4(x: Shaped, what: string): [number, number, number, number] {
  return dims(x, 4, what) as [number, number, number, number];
}

/** The rows and columns of a tensor seen as a matrix of its last dimension: `[…, c]` → `[rows, c]`. */
export function rowsOf(x: Shaped): [number, number] {
  const columns = x.shape.at(-1) ?? 1;
  return [elements(x.shape) / Math.max(1, columns), columns];
}

/** @throws Error naming op, operand, what was expected and what was given. */
export function expectShape(x: Shaped, expected: Shape, what: string): void {
  if (!sameShape(x.shape, expected))
    throw new Error(`${what}: expected shape ${shapeText(expected)}, got ${String(x)}`);
}
