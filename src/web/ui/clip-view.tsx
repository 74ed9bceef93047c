// A clip: its pages, turned and picked, and what can be done with it.

import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { randomSeed } from "../state/defaults.js";
import type { Clip } from "../state/history.js";
import { give, startFromClip } from "../state/inputs.js";
import { enqueue } from "../state/jobs.js";
import { change, settings } from "../state/settings.js";
import { comparing, shown } from "../state/view.js";
import { IconButton } from "./controls.js";
import { autoplays, Canvas, Transport, useFrames } from "./player.js";
import { SaveMenu } from "./save-menu.js";
import { bytes, duration } from "./words.js";

export function ClipView({ clip }: { readonly clip: Clip }) {
  const frames = useFrames(clip);
  const index = useSignal(0);
  const playing = useSignal(autoplays());
  const [fps, setFps] = useState(Number(clip.recipe["fps"] ?? clip.settings.fps));
  // As it was made, until the slider is moved.
  const asked = useRef(settings.value.fps);
  useEffect(() => {
    if (asked.current !== settings.value.fps) setFps(settings.value.fps);
    asked.current = settings.value.fps;
  }, [settings.value.fps]);
  const { seconds: t } = clip;
  const total = t.load + t.text + t.denoise + t.decode;
  const turn = (by: number) => {
    playing.value = false;
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
        <Transport frames={frames} index={index} playing={playing}>
          <IconButton
            icon="expand"
            label="Fill the screen"
            onClick={() => void document.querySelector(".paper")?.requestFullscreen?.()}
          />
        </Transport>
        <p class="caption">{clip.recipe.prompt}</p>
        <div class="doings">
          {frames && <SaveMenu clip={clip} frames={frames} fps={fps} index={index} />}
          <button
            type="button"
            class="secondary"
            data-tip="The same settings with another seed"
            onClick={() => {
              const job = enqueue({ ...clip.settings, seed: randomSeed() }, clip.inputs);
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
              give(clip.inputs);
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
            onClick={() => {
              comparing.value = comparing.value ? undefined : clip;
              // On a phone the history is far below.
              if (comparing.value) document.querySelector(".history")?.scrollIntoView({ block: "nearest" });
            }}
          />
        </div>
        <p class="muted small">
          {clip.count} frames of {clip.width} × {clip.height}, seed {clip.settings.seed}, {clip.settings.steps}{" "}
          {clip.settings.steps === 1 ? "step" : "steps"}, made in {duration(total)}
          {t.load > 0.5 && ` (${duration(t.load)} of it loading)`} with {bytes(clip.peakBytes)} of GPU memory
        </p>
      </div>
    </article>
  );
}
