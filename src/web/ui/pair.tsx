// Two clips beside each other, frame for frame, and the settings in which they differ.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Clip } from "../state/history.js";
import { settings } from "../state/settings.js";
import { shown } from "../state/view.js";
import { IconButton } from "./controls.js";
import { autoplays, Canvas, Transport, useFrames } from "./player.js";

/** Two clips, frame for frame. */
export function Pair({ a, b }: { readonly a: Clip; readonly b: Clip }) {
  const index = useSignal(0);
  const other = useSignal(0);
  const playing = useSignal(autoplays());
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
        <Transport frames={fa} index={index} playing={playing}>
          <IconButton icon="close" label="One clip again" onClick={() => (shown.value = { kind: "clip", clip: a })} />
        </Transport>
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
