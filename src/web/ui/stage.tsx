// The stage: the clip, the way it is coming about, two clips side by side, or what to do first.

import { useSignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { Frames } from "../../index.js";
import { gpu } from "../state/engine.js";
import { framesOf, type Clip } from "../state/history.js";
import { enqueue, type Job } from "../state/jobs.js";
import { change, randomSeed, settings } from "../state/settings.js";
import { startFromClip, startSource } from "../state/inputs.js";
import { say } from "../state/toasts.js";
import { comparing, shown, type Shown as ShownState } from "../state/view.js";
import { IconButton } from "./controls.js";
import { Grid } from "./grid.js";
import { Help } from "./help.js";
import { autoplays, Canvas, Filmstrip } from "./player.js";
import { ProgressBar } from "./progress.js";
import { SaveMenu } from "./save-menu.js";
import { duration } from "./words.js";

export function Stage() {
  const s = shown.value;
  const g = gpu.value;
  if (s.kind === "nothing") return g.state === "missing" ? <Help gpu={g} /> : <Empty />;
  return (
    <>
      <h1 class="unseen">{TITLES[s.kind]}</h1>
      <Shown s={s} />
    </>
  );
}

/** What the page is about, for those who hear it. */
const TITLES = { clip: "A clip", grid: "Four seeds", pair: "Two clips", job: "A clip in the making" } as const;

function Shown({ s }: { readonly s: Exclude<ShownState, { readonly kind: "nothing" }> }) {
  if (s.kind === "clip") return <ClipView key={s.clip.id} clip={s.clip} />;
  if (s.kind === "grid") return <Grid jobs={s.jobs} />;
  if (s.kind === "pair") return <Pair a={s.a} b={s.b} />;
  return <JobView key={s.job.id} job={s.job} />;
}

function Empty() {
  return (
    <div class="empty">
      <div class="paper blank" aria-hidden="true">
        <div class="flip">
          <i />
          <i />
          <i />
          <i />
          <i />
          <i />
          <i />
          <i />
        </div>
      </div>
      <h1>A sentence becomes an animation</h1>
      <p>
        Write what moves, press Generate, and watch it come out of the noise. Everything is computed on this machine;
        nothing leaves it.
      </p>
    </div>
  );
}

function JobView({ job }: { readonly job: Job }) {
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
  shown.value = { kind: "job", job: enqueue(job.settings, job.source) };
}

/** What went wrong and what helps. */
function Failure({ job }: { readonly job: Job }) {
  const { name, message } = job.error.value ?? { name: "Error", message: "the run failed" };
  const help =
    name === "DeviceLostError"
      ? "The graphics adapter was reset and has been opened again; the models are still stored."
      : name === "WorkerCrash"
        ? "What computes was started anew; nothing that was stored is lost."
        : name === "OutOfMemoryError"
          ? "Use a smaller size or fewer frames, or close other pages that use the GPU."
          : undefined;
  return (
    <div class="outcome bad" role="alert">
      <p>
        <strong>{message.charAt(0).toUpperCase() + message.slice(1)}.</strong> {help}
      </p>
      <button type="button" class="secondary" onClick={() => again(job)}>
        Run it again
      </button>
    </div>
  );
}

/** The frames of a clip, once they are read. */
function useFrames(clip: Clip): Frames | undefined {
  const [frames, setFrames] = useState<Frames | undefined>();
  useEffect(() => {
    let here = true;
    framesOf(clip)
      .then((f) => here && setFrames(f))
      .catch((error: Error) => say(error.message, "error"));
    return () => {
      here = false;
    };
  }, [clip.id]);
  return frames;
}

function ClipView({ clip }: { readonly clip: Clip }) {
  const frames = useFrames(clip);
  const index = useSignal(0);
  const [playing, setPlaying] = useState(autoplays());
  const [fps, setFps] = useState(Number(clip.recipe["fps"] ?? clip.settings.fps));
  useEffect(() => setFps(settings.value.fps), [settings.value.fps]);
  const { seconds: t } = clip;
  const total = t.load + t.text + t.denoise + t.decode;
  const turn = (by: number) => {
    setPlaying(false);
    index.value = (index.value + by + clip.count) % clip.count;
  };
  return (
    <article
      class="work"
      aria-label="Clip"
      onKeyDown={(e) => {
        if (e.target instanceof HTMLInputElement) return;
        if (e.key === "ArrowLeft") turn(-1);
        else if (e.key === "ArrowRight") turn(1);
        else return;
        e.preventDefault();
      }}
    >
      <div class="paper" style={{ "--ratio": clip.width / clip.height }}>
        {frames && <Canvas frames={frames} fps={fps} playing={playing} index={index} label={clip.recipe.prompt} />}
      </div>
      <div class="under">
        <div class="transport">
          <IconButton
            icon={playing ? "pause" : "play"}
            label={playing ? "Pause" : "Play"}
            onClick={() => setPlaying(!playing)}
          />
          {frames && <Filmstrip frames={frames} index={index} onPick={() => setPlaying(false)} />}
          <IconButton
            icon="expand"
            label="Fill the screen"
            onClick={() => void document.querySelector(".paper")?.requestFullscreen?.()}
          />
        </div>
        <p class="caption">{clip.recipe.prompt}</p>
        <div class="doings">
          {frames && <SaveMenu clip={clip} frames={frames} fps={fps} index={index} />}
          <button
            type="button"
            class="secondary"
            data-tip="The same settings with another seed"
            onClick={() => {
              const job = enqueue({ ...clip.settings, seed: randomSeed() }, clip.source);
              shown.value = { kind: "job", job };
            }}
          >
            Another seed
          </button>
          <button
            type="button"
            class="secondary"
            data-tip="Puts the settings of this clip back into the controls, its seed kept"
            onClick={() => {
              startSource.value = clip.source;
              change({ ...clip.settings, seedLocked: true });
            }}
          >
            Use its settings
          </button>
          <button
            type="button"
            class="secondary"
            data-tip="Starts the next clip from this one: write what should become of it"
            onClick={() => void startFromClip(clip)}
          >
            Start from it
          </button>
          <IconButton
            icon="compare"
            label="Compare"
            tip="Beside another clip: press, then choose that one in the history"
            pressed={comparing.value?.id === clip.id}
            onClick={() => (comparing.value = comparing.value ? undefined : clip)}
          />
        </div>
        <p class="muted small">
          {clip.count} frames of {clip.width} × {clip.height}, seed {clip.settings.seed}, {clip.settings.steps}{" "}
          {clip.settings.steps === 1 ? "step" : "steps"}, made in {duration(total)}
          {t.load > 0.5 && ` (${duration(t.load)} of it loading)`}
        </p>
      </div>
    </article>
  );
}

/** Two clips, frame for frame. */
function Pair({ a, b }: { readonly a: Clip; readonly b: Clip }) {
  const index = useSignal(0);
  const other = useSignal(0);
  const [playing, setPlaying] = useState(autoplays());
  const [fa, fb] = [useFrames(a), useFrames(b)];
  // The second follows the first, so that both always show the same moment.
  useEffect(() => index.subscribe((i) => (other.value = Math.floor((i * b.count) / a.count))), [a.id, b.id]);
  const rows = differences(a, b);
  return (
    <article class="work pair" aria-label="Two clips beside each other">
      <div class="papers">
        {[
          { clip: a, frames: fa, at: index, plays: playing },
          { clip: b, frames: fb, at: other, plays: false },
        ].map(({ clip, frames, at, plays }) => (
          <figure key={clip.id}>
            <div class="paper" style={{ "--ratio": clip.width / clip.height }}>
              {frames && (
                <Canvas
                  frames={frames}
                  fps={settings.value.fps}
                  playing={plays}
                  index={at}
                  label={clip.recipe.prompt}
                />
              )}
            </div>
            <figcaption>{clip.recipe.prompt}</figcaption>
          </figure>
        ))}
      </div>
      <div class="under">
        <div class="transport">
          <IconButton
            icon={playing ? "pause" : "play"}
            label={playing ? "Pause" : "Play"}
            onClick={() => setPlaying(!playing)}
          />
          {fa && <Filmstrip frames={fa} index={index} onPick={() => setPlaying(false)} />}
          <IconButton icon="close" label="One clip again" onClick={() => (shown.value = { kind: "clip", clip: a })} />
        </div>
        {rows.length === 0 ? (
          <p class="muted small">Made with the same settings.</p>
        ) : (
          <table class="differences">
            <tbody>
              {rows.map(([name, x, y]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td>{x}</td>
                  <td>{y}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </article>
  );
}

const UNTOLD = /Sha256$|^(version|adapter|prompt)$/;

/** What differs between two recipes. */
function differences(a: Clip, b: Clip): (readonly [string, string, string])[] {
  const names = [...new Set([...Object.keys(a.recipe), ...Object.keys(b.recipe)])].filter((n) => !UNTOLD.test(n));
  const text = (c: Clip, name: string) => String(c.recipe[name] ?? "–");
  return names.map((name) => [name, text(a, name), text(b, name)] as const).filter(([, x, y]) => x !== y);
}
