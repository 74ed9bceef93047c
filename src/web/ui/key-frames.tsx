// Pictures for chosen frames of the clip (SparseCtrl): each with the number of the frame that it stands for.

import { give, inputs, type Source } from "../state/inputs.js";
import { change } from "../state/settings.js";
import { IconButton } from "./controls.js";
import { Icon } from "./icons.js";
import { SourceInput } from "./source-input.js";
import { NumberInput } from "./typed.js";

export function KeyFrames({ frames, count }: { readonly frames: readonly number[]; readonly count: number }) {
  const { keys = [] } = inputs.value;
  const last = Math.max(0, count - 1);
  const put = (i: number, source: Source | undefined) =>
    give({ keys: frames.map((_, k) => (k === i ? source : keys[k])) });
  return (
    <div class="key-frames" role="group" aria-label="Key frames">
      {frames.map((frame, i) => (
        <div class="key-frame" key={i} data-late={frame > last}>
          <label class="muted small">
            frame
            <NumberInput
              control={{
                "aria-label": `Frame of picture ${i + 1}`,
                "data-tip": `The frame that is like this picture, 0 to ${last}`,
              }}
              value={frame}
              min={0}
              max={last}
              step={1}
              onChange={(n) => change({ keyFrames: frames.map((f, k) => (k === i ? n : f)) })}
            />
          </label>
          <SourceInput
            source={keys[i]}
            label={`Picture ${i + 1}`}
            text="Choose a picture"
            still
            onChange={(source) => put(i, source)}
          />
          {frames.length > 1 && (
            <IconButton
              icon="trash"
              label={`Take out key frame ${i + 1}`}
              onClick={() => {
                give({ keys: frames.map((_, k) => keys[k]).filter((_, k) => k !== i) });
                change({ keyFrames: frames.filter((_, k) => k !== i) });
              }}
            />
          )}
        </div>
      ))}
      <button
        type="button"
        class="quiet add"
        disabled={frames.length >= count}
        data-tip="A picture for another frame"
        onClick={() => change({ keyFrames: [...frames, nextFrame(frames, last)] })}
      >
        <Icon name="plus" size={15} /> Another frame
      </button>
    </div>
  );
}

/** The last frame, else the first that has no picture. */
function nextFrame(frames: readonly number[], last: number): number {
  if (!frames.includes(last)) return last;
  let free = 0;
  while (frames.includes(free)) free++;
  return free;
}
