// What the chosen model can be asked for: its size, how many frames, whether it animates pictures. Read from its files' headers
// whenever the choice changes.

import { computed, effect, signal } from "@preact/signals";
import type { ModelLimits } from "../../index.js";
import { BUNDLED, type ModelChoice } from "../engine/protocol.js";
import { DEFAULTS } from "./defaults.js";
import { engine, gpu, ready } from "./engine.js";
import { requestOf } from "./request.js";
import { change, settings } from "./settings.js";
import { say } from "./toasts.js";

/** What of a choice its limits depend on. */
function keyOf({ model, motion, distilled }: ModelChoice): string {
  return JSON.stringify([model, motion, distilled]);
}

const choice = computed(() => requestOf(settings.value, false).choice);
const key = computed(() => keyOf(choice.value));
const read = signal<{ readonly key: string; readonly limits: ModelLimits } | undefined>(undefined);

/** Undefined until they are read, and where the files cannot be. */
export const limits = computed(() => (read.value?.key === key.value ? read.value.limits : undefined));

/** Side of the pictures that the next model is to begin with, in place of this one's. */
let before: number | undefined;

/** Keeps them, and the settings within what the adapter can; to be called once. */
export function keepLimits(): void {
  effect(() => {
    const g = gpu.value;
    if (g.state !== "ready" || g.info.f16 || settings.value.precision !== "f16") return;
    change({ precision: "auto" });
    say(
      "The settings asked for f16, which this adapter does not compute in: f32 is used, and the clip differs a little.",
    );
  });
  effect(() => {
    const asked = key.value;
    if (!ready.value) return;
    // What is said of files that cannot be read is said by the plan.
    engine.call("limits", choice.peek()).then(
      (limits) => {
        if (asked !== key.peek()) return;
        read.value = { key: asked, limits };
        const { nativeSize: size } = limits;
        if (before !== undefined && before !== size) change({ width: size, height: size });
        before = undefined;
      },
      () => undefined,
    );
  });
}

/** Another model; pictures take its size where it differs from that of the one before. The bundled one has its own motion. */
export function chooseModel(model: string): void {
  const s = settings.peek();
  if (model === s.model) return;
  before = limits.peek()?.nativeSize ?? DEFAULTS.width;
  change({ model, ...(model === BUNDLED && { motion: "" }) });
}
