// Everything that can be set beside the prompt; what is rarely touched is folded away.

import type { SchedulerName } from "../../index.js";
import { BUNDLED, BUNDLED_LORA } from "../engine/protocol.js";
import { usage } from "../state/desk.js";
import { facts, gpu } from "../state/engine.js";
import { change, DEFAULTS, isSeed, randomSeed, settings, type Settings } from "../state/settings.js";
import { goTo } from "../state/view.js";
import { Choice, Fold, IconButton, NumberField, Range } from "./controls.js";
import { FitNote } from "./fit-note.js";
import { Icon } from "./icons.js";
import { StartFrom } from "./start-from.js";

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

/** Samplers that few steps without guidance suit. */
const FAST: readonly SchedulerName[] = ["lcm", "tcd"];

const ROOM: readonly (readonly [string, number, number])[] = [
  ["1:1", 1, 1],
  ["4:3", 7 / 6, 7 / 8],
  ["16:9", 3 / 2, 7 / 8],
  ["3:4", 7 / 8, 7 / 6],
  ["9:16", 7 / 8, 3 / 2],
];

function set<K extends keyof Settings>(name: K): (value: Settings[K]) => void {
  return (value) => change({ [name]: value } as Pick<Settings, K>);
}

export function SettingsPanel() {
  const s = settings.value;
  const native = facts.value?.nativeSize ?? 128;
  const maxFrames = facts.value?.maxFrames ?? 32;
  return (
    <>
      <StartFrom />
      <Seed />
      <section class="group" aria-label="Picture">
        <Shapes native={native} />
        <Range
          label="Frames"
          tip={`Pictures of the clip. This motion module knows up to ${maxFrames}; it was made for 16.`}
          value={s.frames}
          min={1}
          max={maxFrames}
          step={1}
          onChange={set("frames")}
        />
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
            const fast = FAST.includes(scheduler);
            const wasFast = FAST.includes(s.scheduler);
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
          max={FAST.includes(s.scheduler) ? 12 : 50}
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
    <section class="group seed" aria-label="Seed">
      <label for="seed">Seed</label>
      <input
        id="seed"
        type="text"
        inputmode="numeric"
        value={s.seed}
        data-tip="The number the noise is drawn from. The same seed and settings give the same clip, on any machine."
        onChange={(e) => {
          const text = e.currentTarget.value.trim();
          if (isSeed(text)) change({ seed: BigInt(text).toString() });
          else e.currentTarget.value = s.seed;
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
        tip={s.seedLocked ? "Kept: every clip starts from this seed" : "Not kept: each clip gets a seed of its own"}
        pressed={s.seedLocked}
        onClick={() => change({ seedLocked: !s.seedLocked })}
      />
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
  const off = s.guidance <= 1;
  return (
    <div class="field">
      <label for="negative">Not in it {off && <small class="muted">(works from guidance 1.5 on)</small>}</label>
      <input
        id="negative"
        type="text"
        value={s.negative}
        placeholder="nothing"
        data-tip="The negative prompt: what the clip is led away from. It takes guidance above 1."
        onInput={(e) => change({ negative: e.currentTarget.value })}
      />
    </div>
  );
}

function Model() {
  const s = settings.value;
  const { models } = usage.value;
  const of = (role: string) => models.filter((m) => m.role === role).map((m) => [m.id, m.name] as const);
  const name = (id: string) =>
    id === BUNDLED_LORA ? "Distilled for 4 steps" : (models.find((m) => m.id === id)?.name ?? "gone");
  const distilled = FAST.includes(s.scheduler);
  const loras = s.loras.filter((l) => l.id !== BUNDLED_LORA || (s.model === BUNDLED && distilled));
  const unused = of("lora").filter(([id]) => !s.loras.some((l) => l.id === id));
  return (
    <section class="group" aria-label="Model">
      <Choice
        label="Model"
        tip="The picture model: the demo that comes with this page, or one of yours."
        value={s.model}
        options={[[BUNDLED, "Shapes (demo)"], ...of("model")]}
        onChange={(model) =>
          change({ model, ...(model !== s.model && model === BUNDLED && { width: 128, height: 128, motion: "" }) })
        }
      />
      <Choice
        label="Motion"
        tip="The motion module, which makes an animation of single pictures."
        value={s.motion}
        options={[["", "The model's own"], ...of("motion")]}
        onChange={set("motion")}
      />
      {loras.map((l) => (
        <div class="lora" key={l.id}>
          <Range
            label={name(l.id)}
            tip="Weight of this LoRA: 0 leaves it out, 1 is as it was made. The weights are merged anew when it changes."
            value={l.weight}
            min={0}
            max={2}
            step={0.05}
            onChange={(weight) =>
              change({ loras: s.loras.map((other) => (other.id === l.id ? { ...other, weight } : other)) })
            }
          />
          {l.id !== BUNDLED_LORA && (
            <IconButton
              icon="close"
              label={`Take off ${name(l.id)}`}
              onClick={() => change({ loras: s.loras.filter((other) => other.id !== l.id) })}
            />
          )}
        </div>
      ))}
      {unused.length > 0 && (
        <Choice
          label="Add a LoRA"
          tip="Puts a stored LoRA on the model"
          value=""
          options={[["", "Choose…"], ...unused]}
          onChange={(id) => id !== "" && change({ loras: [...s.loras, { id, weight: 1 }] })}
        />
      )}
      <button
        type="button"
        class="quiet wide"
        data-tip="Your own checkpoints, motion modules, LoRAs"
        onClick={() => goTo("models")}
      >
        <Icon name="plus" size={15} /> Add models
      </button>
    </section>
  );
}

function Advanced() {
  const s = settings.value;
  const g = gpu.value;
  const f16 = g.state === "ready" && g.info.f16;
  const vaes = usage.value.models.filter((m) => m.role === "vae").map((m) => [m.id, m.name] as const);
  const names = [
    "plainPrompt",
    "clipSkip",
    "originalSteps",
    "betaSchedule",
    "motionNorm",
    "precision",
    "weights",
    "lowMemory",
    "vae",
  ] as const;
  const changed = names.filter((n) => s[n] !== DEFAULTS[n]).length;
  return (
    <Fold title="Advanced" note={changed === 0 ? undefined : `${changed} changed`}>
      <Choice
        label="Numbers"
        tip="How weights and activations are stored. f16 takes half the memory, where the adapter computes in it."
        value={s.precision}
        options={[
          ["auto", f16 ? "f16 (as the adapter has it)" : "f32 (as the adapter has it)"],
          ["f32", "f32"],
          ...(f16 ? ([["f16", "f16"]] as const) : []),
        ]}
        onChange={set("precision")}
      />
      <Choice
        label="Weights"
        tip="8-bit weights take half the memory of f16; the pictures change a little."
        value={s.weights}
        options={[
          ["auto", "as the numbers"],
          ["int8", "8 bits"],
        ]}
        onChange={set("weights")}
      />
      <Choice
        label="Memory"
        tip="With little memory the weights stay outside the GPU and are uploaded layer by layer: the same pictures, more slowly."
        value={s.lowMemory ? "low" : "fast"}
        options={[
          ["fast", "all on the GPU"],
          ["low", "layer by layer"],
        ]}
        onChange={(value) => change({ lowMemory: value === "low" })}
      />
      <Choice
        label="Brackets"
        tip="Whether (word:1.2) and [word] in the prompt make words weigh more or less, as elsewhere, or are taken as they stand."
        value={s.plainPrompt ? "plain" : "weights"}
        options={[
          ["weights", "weigh words"],
          ["plain", "are plain text"],
        ]}
        onChange={(value) => change({ plainPrompt: value === "plain" })}
      />
      <Range
        label="Clip skip"
        tip="Layers of the text encoder left out at its end. Some models were trained with 1."
        value={s.clipSkip}
        min={0}
        max={4}
        step={1}
        onChange={set("clipSkip")}
      />
      {s.scheduler === "lcm" && (
        <Range
          label="LCM grid"
          tip="Steps of the grid that LCM was trained on: 50, unless its author says otherwise."
          value={s.originalSteps}
          min={Math.max(20, s.steps)}
          max={100}
          step={1}
          onChange={set("originalSteps")}
        />
      )}
      <Choice
        label="Noise schedule"
        tip="How the noise falls off. AnimateLCM and AnimateDiff were trained with linear."
        value={s.betaSchedule}
        options={[
          ["linear", "linear"],
          ["scaled_linear", "scaled linear"],
          ["squaredcos_cap_v2", "squared cosine"],
        ]}
        onChange={set("betaSchedule")}
      />
      <Choice
        label="Motion norm"
        tip="Whether the motion modules normalise the clip as a whole or frame by frame. By itself: as the motion file was trained."
        value={s.motionNorm}
        options={[
          ["auto", "as the file was trained"],
          ["joint", "the whole clip"],
          ["frame", "frame by frame"],
        ]}
        onChange={set("motionNorm")}
      />
      {vaes.length > 0 && (
        <Choice
          label="VAE"
          tip="What turns latents into pictures"
          value={s.vae}
          options={[["", "The model's own"], ...vaes]}
          onChange={set("vae")}
        />
      )}
      <button
        type="button"
        class="quiet wide"
        data-tip="Everything but the prompt as it was in the beginning"
        onClick={() => change({ ...DEFAULTS, prompt: s.prompt })}
      >
        Back to the defaults
      </button>
    </Fold>
  );
}
