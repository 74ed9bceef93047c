// Several runs that differ in their seed alone, beside each other as they come about.

import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { Frames } from "../../index.js";
import { framesOf } from "../state/history.js";
import { cancel, type Job } from "../state/jobs.js";
import { say } from "../state/toasts.js";
import { shown } from "../state/view.js";
import { autoplays, Canvas } from "./player.js";
import { ProgressBar } from "./progress.js";

export function Grid({ jobs }: { readonly jobs: readonly Job[] }) {
  const running = jobs.find((j) => j.state.value === "running");
  const open = jobs.filter((j) => j.state.value === "running" || j.state.value === "waiting");
  const first = jobs[0]!.settings;
  return (
    <article class="work grid-of" aria-label="Clips that differ in their seed">
      <div class="cells">
        {jobs.map((job) => (
          <Cell key={job.id} job={job} />
        ))}
      </div>
      <div class="under">
        <p class="caption">{first.prompt}</p>
        {running && <ProgressBar job={running} />}
        {open.length > 0 ? (
          <button type="button" class="secondary" onClick={() => open.forEach(cancel)}>
            Stop all of them
          </button>
        ) : (
          <p class="muted small">Press the one you like; its seed is below it.</p>
        )}
      </div>
    </article>
  );
}

function Cell({ job }: { readonly job: Job }) {
  const state = job.state.value;
  const clip = job.clip.value;
  const index = useSignal(0);
  const [frames, setFrames] = useState<Frames | undefined>();
  useEffect(() => {
    if (clip)
      framesOf(clip)
        .then(setFrames)
        .catch((error: Error) => say(error.message, "error"));
  }, [clip?.id]);
  const preview = job.progress.value.preview;
  const now = frames ?? preview;
  const words =
    state === "waiting" ? "waiting" : state === "cancelled" ? "stopped" : state === "failed" ? "failed" : "being made";
  return (
    <button
      type="button"
      class="cell"
      disabled={!clip}
      aria-label={`Seed ${job.settings.seed}${clip ? "" : `, ${words}`}`}
      onClick={() => clip && (shown.value = { kind: "clip", clip })}
    >
      <span class="paper" style={{ "--ratio": job.settings.width / job.settings.height }}>
        {now && (
          <Canvas
            frames={now}
            fps={job.settings.fps}
            playing={autoplays()}
            index={index}
            label={job.settings.prompt}
            soft={!frames}
          />
        )}
      </span>
      <span class="small muted">{clip ? `seed ${job.settings.seed}` : words}</span>
    </button>
  );
}
