// Says before a run whether it fits this GPU, and what would.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Fit, Smaller } from "../engine/protocol.js";
import { CRASH } from "../rpc.js";
import { engine, gpu } from "../state/engine.js";
import { encoderOf } from "../state/inputs.js";
import { current } from "../state/jobs.js";
import { plannedRequest } from "../state/request.js";
import { change, settings } from "../state/settings.js";
import { bytes, sentence } from "./words.js";

const fit = signal<Fit | { readonly message: string } | undefined>(undefined);

/** Plans the present settings some time after they last changed. */
function usePlan(): void {
  const s = settings.value;
  const idle = gpu.value.state === "ready" && !current.value;
  const key = JSON.stringify({
    ...s,
    prompt: "",
    negative: "",
    seed: "",
    fps: 0,
    loras: 0,
    controlPath: 0,
    regions: s.regions.length,
  });
  useEffect(() => {
    if (!idle) return;
    const controller = new AbortController();
    const plan = async (again: boolean): Promise<void> => {
      try {
        const request = plannedRequest(settings.peek(), encoderOf(settings.peek()));
        fit.value = await engine.call("fit", request, { signal: controller.signal });
      } catch (error) {
        if (controller.signal.aborted) return;
        const { name, message } = error as Error;
        // A worker that was stopped for another's sake says nothing of this plan.
        if (name === CRASH && again) return plan(false);
        fit.value = { message };
      }
    };
    const timer = setTimeout(() => void plan(true), 600);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [key, idle]);
}

function words(s: Smaller): string {
  return [
    s.width !== undefined && `${s.width} × ${s.height}`,
    s.frames !== undefined && `${s.frames} frames`,
    s.weights && "8-bit weights",
    s.lowMemory && "weights layer by layer",
  ]
    .filter(Boolean)
    .join(", ");
}

export function FitNote() {
  usePlan();
  const f = fit.value;
  if (!f) return null;
  if ("message" in f) return <p class="note bad">{sentence(f.message)}</p>;
  const { peakBytes, weightBytes, flops } = f.plan;
  if (f.fits)
    return (
      <p
        class="note"
        data-tip={`${bytes(weightBytes)} of it are weights. ${(flops / 1e12).toFixed(flops < 1e12 ? 2 : 1)} T arithmetic operations.`}
      >
        Takes {bytes(peakBytes)} of GPU memory.
      </p>
    );
  return (
    <div class="note bad" role="alert">
      <p>
        Too big for this GPU: it takes {bytes(peakBytes)}
        {f.available !== undefined && `, and ${bytes(f.available)} can be had`}.
        {f.instead.length > 0 ? " These would fit:" : " Close other pages that use the GPU, or use a smaller model."}
      </p>
      {f.instead.length > 0 && (
        <div class="ideas">
          {f.instead.map((i) => (
            <button key={JSON.stringify(i)} type="button" class="chip" onClick={() => change(i)}>
              {words(i)}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
