// From what a clip starts: from noise alone, or from a video that the sentence changes.

import { useEffect } from "preact/hooks";
import { give, inputs, startFrom } from "../state/inputs.js";
import type { Settings } from "../state/defaults.js";
import { limits } from "../state/limits.js";
import { change, settings } from "../state/settings.js";
import { Range, Switch } from "./controls.js";
import { SourceInput } from "./source-input.js";

const MODES: readonly (readonly [Settings["mode"], string, string])[] = [
  ["text", "Words", "The clip comes out of noise, by the sentence alone"],
  ["video", "A video", "The sentence changes a video, an animation or a picture of yours, or one of your clips"],
  ["image", "A picture", "Your picture begins to move; the motion module is made for that"],
];

/** What this motion module can start from: one with an image encoder animates pictures, and nothing else. */
function modes(chosen: Settings["mode"]): typeof MODES {
  const pictures = limits.value ? limits.value.imageEncoder === true : chosen === "image";
  return MODES.filter(([mode]) => (mode === "image") === pictures);
}

export function StartFrom() {
  const s = settings.value;
  const offered = modes(s.mode);
  const fits = offered.some(([mode]) => mode === s.mode);
  useEffect(() => {
    const [first] = offered;
    if (!fits && first) change({ mode: first[0] });
  }, [fits]);
  return (
    <section class="group" aria-label="Start from">
      <Switch label="Start from" value={s.mode} options={offered} onChange={(mode) => change({ mode })} />
      {s.mode !== "text" && (
        <SourceInput
          source={inputs.value.start}
          label="Video or picture"
          onChange={(start) => (start ? startFrom(start) : give({ start }))}
        />
      )}
      {s.mode === "image" && (
        <Range
          label="Movement"
          tip="How much of the picture's say the network listens to: higher holds to it more closely. AnimateLCM's authors use 0.8."
          value={s.motionScale}
          min={0}
          max={1.5}
          step={0.05}
          onChange={(motionScale) => change({ motionScale })}
        />
      )}
      {s.mode === "video" && (
        <>
          <Range
            label="Strength"
            tip="How much of the video is given up: at 0.3 it keeps nearly everything, at 1 it is noise. Fewer of the steps run at lower values."
            value={s.strength}
            min={0.05}
            max={1}
            step={0.05}
            onChange={(strength) => change({ strength })}
          />
        </>
      )}
    </section>
  );
}
