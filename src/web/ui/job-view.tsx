// A clip in the making: its preview over the noise, how far it is, and what became of it where it became nothing.

import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { Frames } from "../../index.js";
import { enqueue, type Job } from "../state/jobs.js";
import { shown } from "../state/view.js";
import { autoplays, Canvas } from "./player.js";
import { ProgressBar } from "./progress.js";
import { sentence } from "./words.js";

export function JobView({ job }: { readonly job: Job }) {
  const state = job.state.value;
  const clip = job.clip.value;
  const index = useSignal(0);
  const preview = job.progress.value.preview;
  useEffect(() => {
    if (clip && shown.peek().kind === "job") shown.value = { kind: "clip", clip };
  }, [clip]);
  const { width, height } = job.settings;
  const over = state === "cancelled" || state === "failed";
  return (
    <article class="work" aria-label="Clip in the making" data-state={state}>
      <div class="paper" style={{ "--ratio": width / height }}>
        {preview ? (
          <Canvas
            frames={preview}
            fps={job.settings.fps}
            playing={!over}
            index={index}
            label={`Preview: ${job.settings.prompt}`}
            soft
          />
        ) : (
          <Noise moving={!over} />
        )}
      </div>
      <div class="under">
        {state === "failed" ? (
          <Failure job={job} />
        ) : state === "cancelled" ? (
          <Stopped job={job} />
        ) : (
          <ProgressBar job={job} />
        )}
      </div>
    </article>
  );
}

/** What every clip begins with. */
function Noise({ moving }: { readonly moving: boolean }) {
  const index = useSignal(0);
  const [frames] = useState((): Frames => {
    const side = 24;
    const rgba = new Uint8Array(side * side * 4 * 6);
    for (let i = 0; i < rgba.length; i++) rgba[i] = i % 4 === 3 ? 255 : 60 + Math.random() * 140;
    return { width: side, height: side, count: 6, rgba };
  });
  return (
    <Canvas
      frames={frames}
      fps={6}
      playing={moving && autoplays()}
      index={index}
      label="Noise, from which the clip will come"
      soft
    />
  );
}

function Stopped({ job }: { readonly job: Job }) {
  return (
    <div class="outcome" role="status">
      <p>Stopped.</p>
      <button type="button" class="secondary" onClick={() => again(job)}>
        Run it again
      </button>
    </div>
  );
}

function again(job: Job): void {
  shown.value = { kind: "job", job: enqueue(job.settings, job.inputs) };
}

/** What went wrong and what helps. */
function Failure({ job }: { readonly job: Job }) {
  const { name, message } = job.error.value ?? { name: "Error", message: "the run failed" };
  const [what, help] = FAILURES[name] ?? [message, name === "OutOfMemoryError" ? LESS : ""];
  return (
    <div class="outcome bad" role="alert">
      <p>
        <strong>{sentence(what)}</strong> {help}
      </p>
      <button type="button" class="secondary" onClick={() => again(job)}>
        Run it again
      </button>
    </div>
  );
}

const LESS = "Use a smaller size or fewer frames, or close other pages that use the GPU.";

/** What the library's messages say for the command line, said for a page. */
const FAILURES: Readonly<Record<string, readonly [what: string, help: string]>> = {
  DeviceLostError: [
    "The graphics adapter was lost",
    "It was reset and has been opened again; the models are still stored. Where it recurs: fewer frames, smaller, or layer by layer (Advanced, Memory).",
  ],
  WorkerCrash: ["What computes has stopped", "It was started anew; nothing that was stored is lost."],
};
