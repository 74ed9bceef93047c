// a + scale · b, where b may have fewer frames than a: what ControlNets and adapters add inside the UNet.

import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";
import { copyHead, mostOfRun, units, widthOf, window } from "./vectors.js";

/**
 * `a [n, …] + scale · b [m, …]`, in a's dtype. m divides n: "every" repeats b over a (one clip's map for both halves under
 * guidance); "last" adds it to a's last m entries only (a ControlNet that saw the conditional half).
 * @throws Error where shapes or dtypes do not fit
 */
export function addScaled(
  a: Tensor,
  b: Tensor,
  scale: number,
  { to = "every", label = "addScaled" }: { readonly to?: "every" | "last"; readonly label?: string } = {},
): Tensor {
  const { device, dtype } = a;
  const [n = 0, ...rest] = a.shape;
  const [m = 0, ...restB] = b.shape;
  if (dtype !== b.dtype || rest.join() !== restB.join() || m === 0 || n % m !== 0)
    throw new Error(
      `addScaled: ${String(b)} does not fit ${String(a)}: expected the same dtype and map, and a divisor of its first size`,
    );
  const y = Tensor.empty(device, a.shape, dtype, label);
  const limits = device.capabilities;
  const size = bytesPerElement(dtype);
  const entry = b.size / m;
  const width = widthOf(entry);
  const offsets = to === "last" ? [n - m] : Array.from({ length: n / m }, (_, i) => i * m);
  copyHead(a, y, offsets[0]! * entry);
  const most = mostOfRun(dtype, limits);
  for (const offset of offsets)
    for (let first = 0; first < b.size; first += most) {
      const count = Math.min(most, b.size - first);
      const at = offset * entry + first;
      const [wa, wb, wy] = [window(a, at, count, width), window(b, first, count, width), window(y, at, count, width)];
      device.dispatch({
        label,
        code: specialize(shaders["add-scaled"], units(dtype, width, limits)),
        bindings: [wa.binding, wb.binding, wy.binding],
        params: [count / width, f32Bits(scale), wa.skip, wb.skip, wy.skip],
        workgroups: grid(Math.ceil(count / width / 64), limits),
        flops: 2 * count,
        bytes: 3 * count * size,
      });
    }
  return y;
}
