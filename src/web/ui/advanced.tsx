// What is rarely touched: numbers and memory, windows, the noise schedule.

import { usage } from "../state/desk.js";
import { gpu } from "../state/engine.js";
import { limits } from "../state/limits.js";
import { DEFAULTS } from "../state/defaults.js";
import { change, settings, setter as set } from "../state/settings.js";
import { Choice, Fold, Range } from "./controls.js";

export function Advanced() {
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
      <Range
        label="FreeInit"
        tip="Runs, each from the low frequencies of the one before: movement gets steadier, and it takes as many times as long. Below 2 it is off."
        value={s.freeInit}
        min={0}
        max={5}
        step={1}
        onChange={(n) => change({ freeInit: n === 1 ? (s.freeInit > 1 ? 0 : 2) : n })}
      />
      {s.course !== "whole" && (
        <>
          <Range
            label="Window"
            tip="Frames of one window: 16, as the motion modules were trained."
            value={s.context}
            min={4}
            max={limits.value?.maxFrames ?? 32}
            step={1}
            onChange={(context) => change({ context, stride: Math.min(s.stride, context) })}
          />
          <Range
            label="Step on"
            tip="Frames from one window to the next: fewer overlap more, which is smoother and slower."
            value={s.stride}
            min={1}
            max={s.context}
            step={1}
            onChange={set("stride")}
          />
        </>
      )}
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
          tip="Steps of the grid that LCM was trained on: 50, AnimateLCM's image to video 200, unless an author says otherwise."
          value={s.originalSteps > 0 ? s.originalSteps : limits.value?.imageEncoder ? 200 : 50}
          min={Math.max(20, s.steps)}
          max={200}
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
