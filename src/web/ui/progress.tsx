// How far a job is: one bar in parts as wide as they take long, the stage in words, the time left.

import { useEffect, useState } from "preact/hooks";
import type { Job, Progress } from "../state/jobs.js";
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
    case "load":
      return `Loading the ${p.detail === "unet" ? "UNet" : p.detail === "vae" ? "VAE" : (p.detail ?? "model")}`;
    case "text":
      return job.clock.elapsed > 4 ? "Reading the sentence; compiling shaders for this GPU" : "Reading the sentence";
    case "denoise":
      return `Step ${Math.min(p.steps + 1, job.settings.steps)} of ${job.settings.steps}`;
    case "decode":
      return "Developing the frames";
  }
}

export function ProgressBar({ job }: { readonly job: Job }) {
  const p = job.progress.value;
  const running = job.state.value === "running";
  useTicks(running);
  const { steps } = job.settings;
  const within = job.clock.within;
  const order = ["download", "load", "text", "denoise", "decode"];
  const at = order.indexOf(p.stage);
  const fill = (stage: string, own: number) => (order.indexOf(stage) < at ? 1 : p.stage === stage ? own : 0);
  const parts: (readonly [key: string, grow: number, fill: number])[] = [
    ["load", 1, Math.max(fill("load", p.fraction), at > 1 ? 1 : 0)],
    ["text", 0.7, fill("text", 0.5)],
    ...Array.from({ length: Math.min(steps, 50) }, (_, i): readonly [string, number, number] => [
      `step ${i}`,
      Math.max(0.2, 8 / steps),
      i < p.steps ? 1 : p.stage === "denoise" && i === p.steps ? within : 0,
    ]),
    ["decode", 2.5, fill("decode", within)],
  ];
  const total = parts.reduce((n, [, grow]) => n + grow, 0);
  const done = parts.reduce((n, [, grow, part]) => n + grow * part, 0) / total;
  const remaining = running ? job.clock.left : undefined;
  return (
    <div class="progress">
      <div
        class="bar"
        role="progressbar"
        aria-label="Progress of the clip"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(done * 100)}
        aria-valuetext={words(p, job)}
      >
        {parts.map(([key, grow, part]) => (
          <i key={key} style={{ flexGrow: grow, "--fill": part }} />
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
    </div>
  );
}
