// Everything that can be set beside the prompt; what is rarely touched is folded away.

import type { SchedulerName } from "../../index.js";
import { DEFAULTS, isDistilled, isSeed, randomSeed } from "../state/defaults.js";
import { limits } from "../state/limits.js";
import { change, settings, setter as set } from "../state/settings.js";
import { Advanced } from "./advanced.js";
import { Choice, IconButton, NumberField, Range, Row } from "./controls.js";
import { Frames } from "./course.js";
import { FitNote } from "./fit-note.js";
import { Follow } from "./follow.js";
import { Likenesses } from "./likeness.js";
import { Model } from "./model-panel.js";
import { StartFrom } from "./start-from.js";
import { Typed } from "./typed.js";

const SAMPLERS: Readonly<Record<SchedulerName, string>> = {
  lcm: "LCM (4 steps)",
  tcd: "TCD",
  ddim: "DDIM",
  "dpm++": "DPM-Solver++ 2M",
  "dpm++-sde": "DPM-Solver++ 2M SDE",
  dpm: "DPM-Solver 2M",
  euler: "Euler",
  "euler-a": "Euler ancestral",
  heun: "Heun",
  pndm: "PNDM",
  unipc: "UniPC",
};

const ROOM: readonly (readonly [string, number, number])[] = [
  ["1:1", 1, 1],
  ["4:3", 7 / 6, 7 / 8],
  ["16:9", 3 / 2, 7 / 8],
  ["3:4", 7 / 8, 7 / 6],
  ["9:16", 7 / 8, 3 / 2],
];

export function SettingsPanel() {
  const s = settings.value;
  const native = limits.value?.nativeSize ?? DEFAULTS.width;
  return (
    <>
      <StartFrom />
      <Follow />
      <Likenesses />
      <Seed />
      <section class="group" aria-label="Picture">
        <Shapes native={native} />
        <Frames />
        <Range
          label="Speed"
          tip="Frames per second, when it is played and in the saved file. Can be changed afterwards too."
          value={s.fps}
          min={1}
          max={30}
          step={1}
          onChange={set("fps")}
        />
        <FitNote />
      </section>
      <section class="group" aria-label="Sampling">
        <Choice
          label="Sampler"
          tip="How noise becomes a picture. LCM needs about four steps and no guidance; the others want 20 to 30 steps and guidance around 7."
          value={s.scheduler}
          options={Object.entries(SAMPLERS) as [SchedulerName, string][]}
          onChange={(scheduler) => {
            const fast = isDistilled(scheduler);
            const wasFast = isDistilled(s.scheduler);
            change({
              scheduler,
              ...(fast !== wasFast && (fast ? { steps: 4, guidance: 1 } : { steps: 20, guidance: 5 })),
            });
          }}
        />
        <Range
          label="Steps"
          tip="Evaluations of the network. More take longer; with LCM four to eight are enough."
          value={s.steps}
          min={1}
          max={isDistilled(s.scheduler) ? 12 : 50}
          limit={1000}
          step={1}
          onChange={set("steps")}
        />
        <Range
          label="Guidance"
          tip="How strictly the prompt is followed. At 1 there is none, and each step takes half the time."
          value={s.guidance}
          min={1}
          max={15}
          limit={1000}
          step={0.5}
          onChange={set("guidance")}
        />
        <Negative />
      </section>
      <Model />
      <Advanced />
    </>
  );
}

function Seed() {
  const s = settings.value;
  return (
    <section class="group" aria-label="Seed">
      <Row
        label="Seed"
        tip="The number the noise is drawn from. The same seed and settings give the same clip, on any machine."
      >
        {(control) => (
          <div class="with-tools">
            <Typed
              control={control}
              kind={{ type: "text", inputmode: "numeric" }}
              value={s.seed}
              onEntered={(text) => {
                const seed = text.trim();
                if (isSeed(seed)) change({ seed: BigInt(seed).toString() });
              }}
            />
            <IconButton
              icon="dice"
              label="New seed"
              tip="Draws another seed"
              onClick={() => change({ seed: randomSeed() })}
            />
            <IconButton
              icon={s.seedLocked ? "lock" : "unlock"}
              label="Keep the seed"
              tip={
                s.seedLocked ? "Kept: every clip starts from this seed" : "Not kept: each clip gets a seed of its own"
              }
              pressed={s.seedLocked}
              onClick={() => change({ seedLocked: !s.seedLocked })}
            />
          </div>
        )}
      </Row>
    </section>
  );
}

function Shapes({ native }: { readonly native: number }) {
  const s = settings.value;
  const grid = (n: number) => Math.max(64, Math.round((native * n) / 16) * 16);
  return (
    <div class="shapes">
      <div role="group" aria-label="Shape of the picture" class="segments">
        {ROOM.map(([text, w, h]) => {
          const [width, height] = [grid(w), grid(h)];
          const on = s.width === width && s.height === height;
          return (
            <button
              key={text}
              type="button"
              aria-pressed={on}
              data-tip={`${width} × ${height} pixels`}
              onClick={() => change({ width, height })}
            >
              <i style={outline(text)} aria-hidden="true" />
              {text}
            </button>
          );
        })}
      </div>
      <div class="size">
        <NumberField
          label="Width"
          tip={`Pixels, a multiple of 8. This model was made for ${native}.`}
          value={s.width}
          min={64}
          max={2048}
          step={8}
          onChange={set("width")}
        />
        <IconButton
          icon="swap"
          label="Swap width and height"
          onClick={() => change({ width: s.height, height: s.width })}
        />
        <NumberField
          label="Height"
          tip={`Pixels, a multiple of 8. This model was made for ${native}.`}
          value={s.height}
          min={64}
          max={2048}
          step={8}
          onChange={set("height")}
        />
      </div>
    </div>
  );
}

/** A shape's outline, drawn to its name: the sizes themselves are rounded to the model's grid. */
function outline(name: string): { readonly width: string; readonly height: string } {
  const [w = 1, h = 1] = name.split(":").map(Number);
  const unit = 20 / Math.max(w, h);
  return { width: `${w * unit}px`, height: `${h * unit}px` };
}

function Negative() {
  const s = settings.value;
  return (
    <Row
      label="Not in it"
      tip="The negative prompt: what the clip is led away from. It takes guidance above 1."
      note={s.guidance <= 1 ? "(works from guidance 1.5 on)" : undefined}
      look="wide"
    >
      {(control) => (
        <input
          {...control}
          type="text"
          value={s.negative}
          placeholder="nothing"
          onInput={(e) => change({ negative: e.currentTarget.value })}
        />
      )}
    </Row>
  );
}
