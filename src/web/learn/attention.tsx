// Where a word of the prompt acts: its attention after each step, and over the frames.

import { useSignal } from "@preact/signals";
import type { Frames } from "../../index.js";
import { attentions, lastPreviews } from "../state/jobs.js";
import { settings } from "../state/settings.js";
import { autoplays, Canvas } from "../ui/player.js";
import { heatOf } from "./heat.js";

export function Attention() {
  const { word, maps } = attentions.value;
  const previews = lastPreviews.value;
  const pictures = maps.flatMap((map, i) => (previews[i] ? [heatOf(map, previews[i])] : []));
  const last = pictures.at(-1);
  if (!last) return null;
  const most = maps.at(-1)!.values.reduce((a, b) => Math.max(a, b), 0);
  return (
    <section aria-labelledby="attention">
      <h2 id="attention">Where “{word}” acts</h2>
      <p class="muted">
        The weight that the network's cross-attentions give the word at each place, over all heads and layers; here at
        most {(100 * most).toFixed(0)} % of a place's attention. Each step by itself, then the last one frame by frame.
      </p>
      <ol class="steps">
        {pictures.map((frames, i) => (
          <li key={i}>
            <Heat frames={frames} label={`“${word}” in step ${i + 1}`} plays={autoplays()} at={0} />
            <span class="muted small">step {i + 1}</span>
          </li>
        ))}
      </ol>
      <ol class="steps small-pictures">
        {Array.from({ length: last.count }, (_, i) => (
          <li key={i}>
            <Heat frames={last} label={`“${word}” in frame ${i}`} plays={false} at={i} />
            <span class="muted small">{i}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Heat(p: { readonly frames: Frames; readonly label: string; readonly plays: boolean; readonly at: number }) {
  const index = useSignal(p.at);
  return <Canvas frames={p.frames} fps={settings.value.fps} playing={p.plays} index={index} label={p.label} />;
}
