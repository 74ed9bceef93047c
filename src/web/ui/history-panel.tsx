// Clips made so far, as flip books that turn under the pointer; above them what runs and waits.

import { clips, remove, type Clip } from "../state/history.js";
import { cancel, cancelAll, current, dismiss, enqueue, jobs, waiting, type Job } from "../state/jobs.js";
import { pagesOf } from "../state/strip.js";
import { comparing, goTo, shown } from "../state/view.js";
import { IconButton } from "./controls.js";
import { ago } from "./words.js";

export function History() {
  const all = clips.value;
  const running = current.value;
  const rest = waiting.value;
  const failed = jobs.value.filter((j) => j.state.value === "failed");
  return (
    <aside class="history" aria-label="History">
      <header>
        <h2>{comparing.value ? "Compare with…" : "Clips"}</h2>
        {rest.length > 0 && (
          <button type="button" class="quiet" data-tip="Stops everything that runs or waits" onClick={cancelAll}>
            Stop all
          </button>
        )}
      </header>
      {comparing.value && (
        <p class="muted small">
          Choose the clip to put beside the one on the stage.{" "}
          <button type="button" class="link" onClick={() => (comparing.value = undefined)}>
            Never mind
          </button>
        </p>
      )}
      {all.length + rest.length === 0 && !running && failed.length === 0 && (
        <p class="muted small">What you make is kept here, in this browser.</p>
      )}
      <ul>
        {[...(running ? [running] : []), ...rest, ...failed].map((job) => (
          <JobCard key={job.id} job={job} />
        ))}
        {all.map((clip) => (
          <ClipCard key={clip.id} clip={clip} />
        ))}
      </ul>
    </aside>
  );
}

function JobCard({ job }: { readonly job: Job }) {
  const state = job.state.value;
  const s = shown.value;
  const on = s.kind === "job" && s.job === job;
  return (
    <li class={`card job${on ? " on" : ""}`}>
      <button type="button" class="open" onClick={() => (shown.value = { kind: "job", job })}>
        <span class={`thumb ${state}`} />
        <span class="about">
          <span class="what">{job.settings.prompt}</span>
          <span class="muted small">
            {state === "running" ? "being made" : state === "failed" ? "failed" : `waiting · seed ${job.settings.seed}`}
          </span>
        </span>
      </button>
      <IconButton
        icon="close"
        label={state === "failed" ? "Dismiss" : "Stop"}
        onClick={() => (state === "failed" ? dismiss(job) : cancel(job))}
      />
    </li>
  );
}

function ClipCard({ clip }: { readonly clip: Clip }) {
  const s = shown.value;
  const on =
    (s.kind === "clip" && s.clip.id === clip.id) || (s.kind === "pair" && (s.a.id === clip.id || s.b.id === clip.id));
  const open = () => {
    const first = comparing.value;
    goTo("create");
    if (first && first.id !== clip.id) {
      comparing.value = undefined;
      shown.value = { kind: "pair", a: first, b: clip };
    } else shown.value = { kind: "clip", clip };
    document.querySelector(".stage")?.scrollIntoView({ block: "nearest", behavior: "smooth" });
  };
  return (
    <li class={`card${on ? " on" : ""}`}>
      <button type="button" class="open" aria-current={on} onClick={open}>
        <span
          class="thumb"
          style={{
            "--strip": clip.strip === undefined ? "none" : `url(${clip.strip})`,
            "--count": pagesOf(clip),
            "--seconds": `${clip.count / clip.settings.fps}s`,
            aspectRatio: `${clip.width} / ${clip.height}`,
          }}
        />
        <span class="about">
          <span class="what">{clip.recipe.prompt}</span>
          <span class="muted small">
            {ago(clip.made)} · seed {clip.settings.seed}
          </span>
        </span>
      </button>
      <span class="tools">
        <IconButton
          icon="rerun"
          label="Run again"
          tip="Makes it again with the same settings and seed"
          onClick={() => (shown.value = { kind: "job", job: enqueue(clip.settings, clip.inputs) })}
        />
        <IconButton
          icon="trash"
          label="Delete"
          onClick={() => {
            if (on) shown.value = { kind: "nothing" };
            if (comparing.value?.id === clip.id) comparing.value = undefined;
            void remove(clip);
          }}
        />
      </span>
    </li>
  );
}
