// The course of a clip: how many frames it has and how the network sees them, and sentences that take over later.

import type { Settings } from "../state/defaults.js";
import { limits } from "../state/limits.js";
import { change, settings } from "../state/settings.js";
import { Choice, IconButton, Range } from "./controls.js";
import { Icon } from "./icons.js";
import { NumberInput } from "./typed.js";

/** What the frames slider offers where windows are used; more can be typed. */
const LONG = 96;

export function Frames() {
  const s = settings.value;
  const known = limits.value?.maxFrames ?? 32;
  const whole = s.course === "whole";
  return (
    <>
      <Range
        label="Frames"
        tip={
          whole
            ? `Pictures of the clip. This motion module knows up to ${known}; it was made for 16. Longer ones take windows, below.`
            : "Pictures of the clip: as many as you have patience for."
        }
        value={s.frames}
        min={1}
        max={whole ? known : LONG}
        limit={whole ? known : 1024}
        step={1}
        onChange={(frames) => change({ frames })}
      />
      <Choice
        label="Long clips"
        tip="How the network sees a clip with more frames than it was made for: all at once, or in overlapping windows of 16. FreeNoise keeps the scene, fused windows take the least memory, looped ones end where they begin."
        value={s.course}
        options={[
          ["whole", "all frames at once"],
          ["free-noise", "windows, with FreeNoise"],
          ["window", "windows, fused"],
          ["loop", "windows, looped"],
        ]}
        onChange={(course) => change({ course, frames: framesFor(course, s, known) })}
      />
    </>
  );
}

/** Windows make sense beyond one of them; without, the motion module's knowledge ends. */
function framesFor(course: Settings["course"], s: Settings, known: number): number {
  return course === "whole" ? Math.min(s.frames, known) : s.frames > s.context ? s.frames : 2 * s.context;
}

/** The last frame at which a sentence takes over. */
function lastStop(s: Settings): number {
  return s.travel.reduce((most, stop) => Math.max(most, stop.frame), 0);
}

/** Adds a sentence to the clip's course. */
export function Then() {
  const s = settings.value;
  const last = lastStop(s);
  return (
    <button
      type="button"
      class="quiet add"
      disabled={s.frames < 2 || last >= s.frames - 1}
      data-tip="Another sentence at a later frame: the clip goes from one to the other"
      onClick={() => change({ travel: [...s.travel, { frame: Math.ceil((last + s.frames - 1) / 2) || 1, text: "" }] })}
    >
      <Icon name="plus" size={15} /> Then…
    </button>
  );
}

/** Prompts along the clip. */
export function Travel() {
  const s = settings.value;
  const set = (index: number, patch: Partial<Settings["travel"][number]>) =>
    change({ travel: s.travel.map((stop, i) => (i === index ? { ...stop, ...patch } : stop)) });
  if (s.travel.length === 0) return null;
  return (
    <div class="travel" role="group" aria-label="Sentences that take over">
      <div class="timeline" aria-hidden="true" style={{ "--count": s.frames }}>
        <i style={{ "--at": 0 }} />
        {s.travel
          .filter(({ frame }) => frame < s.frames)
          .map(({ frame }) => (
            <i key={frame} style={{ "--at": frame }} />
          ))}
      </div>
      {s.travel.map((stop, i) => (
        <div class="stop" key={i} data-late={stop.frame >= s.frames}>
          <NumberInput
            control={{
              "aria-label": `Frame of sentence ${i + 2}`,
              "data-tip": `The frame, 1 to ${s.frames - 1}, at which this sentence holds; before it, it is blended in`,
            }}
            value={stop.frame}
            min={1}
            max={Math.max(1, s.frames - 1)}
            step={1}
            onChange={(frame) => set(i, { frame })}
          />
          <input
            type="text"
            aria-label={`Sentence ${i + 2}`}
            data-tip="What it shows from this frame on"
            placeholder="what it becomes"
            value={stop.text}
            onInput={(e) => set(i, { text: e.currentTarget.value })}
          />
          <IconButton
            icon="close"
            label={`Take out sentence ${i + 2}`}
            onClick={() => change({ travel: s.travel.filter((_, k) => k !== i) })}
          />
        </div>
      ))}
    </div>
  );
}
