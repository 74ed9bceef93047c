// How far a job is: one bar in parts as wide as they take long, the stage in words, the time left.

import { useEffect, useState } from "preact/hooks";
import type { Job, Progress } from "../state/jobs.js";
import { doneOf, partsOf } from "../state/parts.js";
import { duration, left } from "./words.js";

/** Redraws some times a second: time passes without events. */
function useTicks(on: boolean): void {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => tick((n) => n + 1), 250);
    return () => clearInterval(timer);
  }, [on]);
}

function words(p: Progress, job: Job): string {
  switch (p.stage) {
    case "waiting":
      return "Waiting its turn";
    case "download":
      return "Reading the model";
    case "tune":
      return `Measuring which kernels are fastest on this GPU, once: layer ${p.detail ?? ""}`;
    case "load":
      return `Loading the ${p.detail === "unet" ? "UNet" : p.detail === "vae" ? "VAE" : (p.detail ?? "model")}`;
    case "text":
      return job.clock.elapsed > 4 ? "Reading the sentence; compiling shaders for this GPU" : "Reading the sentence";
    case "denoise":
      return `Step ${Math.min(p.steps + 1, p.count)} of ${p.count}`;
    case "decode":
      return "Developing the frames";
  }
}

export function ProgressBar({ job }: { readonly job: Job }) {
  const p = job.progress.value;
  const running = job.state.value === "running";
  useTicks(running);
  const remaining = running ? job.clock.left : undefined;
  return (
    <div class="progress">
      <div
        class="bar"
        role="progressbar"
        aria-label="Progress of the clip"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(doneOf(job) * 100)}
        aria-valuetext={words(p, job)}
      >
        {partsOf(job).map(({ key, share, done }) => (
          <i key={key} style={{ flexGrow: share, "--fill": done }} />
        ))}
      </div>
      <p>
        <span>{words(p, job)}</span>
        <span class="muted">
          {remaining !== undefined
            ? remaining > 0.5
              ? `about ${left(remaining)} left`
              : "almost there"
            : running && duration(job.clock.elapsed)}
        </span>
      </p>
      {job.throttled.value !== undefined && (
        <p class="muted small" role="status">
          While this tab was hidden, steps took {job.throttled.value.toFixed(1)} times as long: browsers slow down what
          is not seen. Keep it in view for full speed.
        </p>
      )}
    </div>
  );
}
