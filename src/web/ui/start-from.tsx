// From what a clip starts: from noise alone, or from a video that the sentence changes.

import { useEffect, useRef, useState } from "preact/hooks";
import { startFrom, startSource } from "../state/inputs.js";
import { facts } from "../state/engine.js";
import { change, settings, type Settings } from "../state/settings.js";
import { IconButton, Range } from "./controls.js";
import { Icon } from "./icons.js";

const MODES: readonly (readonly [Settings["mode"], string, string])[] = [
  ["text", "Words", "The clip comes out of noise, by the sentence alone"],
  ["video", "A video", "The sentence changes a video, an animation or a picture of yours, or one of your clips"],
  ["image", "A picture", "Your picture begins to move; the motion module is made for that"],
];

/** What this motion module can start from: one with an image encoder animates pictures, and nothing else. */
function modes(): typeof MODES {
  const pictures = facts.value?.imageEncoder ?? false;
  return MODES.filter(([mode]) => (mode === "image") === pictures);
}

export function StartFrom() {
  const s = settings.value;
  const offered = modes();
  const fits = offered.some(([mode]) => mode === s.mode);
  useEffect(() => {
    const [first] = offered;
    if (facts.value && !fits && first) change({ mode: first[0] });
  }, [fits, facts.value]);
  return (
    <section class="group" aria-label="Start from">
      <div class="field">
        <span class="label" id="start-from">
          Start from
        </span>
        <div class="switch" role="group" aria-labelledby="start-from">
          {offered.map(([mode, text, tip]) => (
            <button
              key={mode}
              type="button"
              aria-pressed={s.mode === mode}
              data-tip={tip}
              onClick={() => change({ mode })}
            >
              {text}
            </button>
          ))}
        </div>
      </div>
      {s.mode !== "text" && <VideoInput />}
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

function VideoInput() {
  const source = startSource.value;
  const input = useRef<HTMLInputElement>(null);
  const [url, setUrl] = useState<string | undefined>();
  useEffect(() => {
    if (!source) {
      setUrl(undefined);
      return undefined;
    }
    const made = URL.createObjectURL(source.blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [source]);
  const moving =
    source !== undefined && (source.blob.type.startsWith("video/") || /\.(mp4|webm|mov|mkv)$/i.test(source.name));
  return (
    <div class="source">
      {source && url !== undefined ? (
        <>
          {moving ? <video src={url} muted loop autoplay playsInline /> : <img src={url} alt="" />}
          <span class="small">{source.name}</span>
          <IconButton icon="close" label="Take the video out" onClick={() => (startSource.value = undefined)} />
        </>
      ) : (
        <button
          type="button"
          class="secondary wide"
          data-tip="A video, an animation (GIF, APNG, WebP) or a picture; dropping or pasting one works too"
          onClick={() => input.current?.click()}
        >
          <Icon name="file" size={16} /> Choose a video or picture
        </button>
      )}
      <input
        ref={input}
        type="file"
        hidden
        aria-label="Video or picture"
        accept="video/*,image/*"
        onChange={(e) => {
          const file = e.currentTarget.files?.[0];
          if (file) startFrom({ name: file.name, blob: file });
          e.currentTarget.value = "";
        }}
      />
    </div>
  );
}
