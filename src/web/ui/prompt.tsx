// What the clip shows: the sentence, ideas for it, and the button that everything leads to.

import { useEffect, useRef } from "preact/hooks";
import { BUNDLED } from "../engine/protocol.js";
import { gpu } from "../state/engine.js";
import { missing } from "../state/inputs.js";
import { cancel, current, enqueue, waiting } from "../state/jobs.js";
import { randomSeed } from "../state/defaults.js";
import { change, settings } from "../state/settings.js";
import { shown } from "../state/view.js";
import { Then, Travel } from "./course.js";
import { IconButton } from "./controls.js";
import { Icon } from "./icons.js";
import { Regions, There } from "./regions.js";

const SHAPES = ["circle", "square", "triangle", "star", "heart"];
const COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "white"];
const MOVES = ["moving left", "moving right", "moving up", "moving down", "growing", "shrinking"];
const PLACES = ["on a night sky", "at sunset", "on a meadow", "on the sea"];

/** A sentence that the bundled model understands. */
function idea(): string {
  const pick = (list: readonly string[]) => list[Math.floor(Math.random() * list.length)]!;
  const colour = pick(COLOURS);
  return `${colour === "orange" ? "an" : "a"} ${colour} ${pick(SHAPES)} ${pick(MOVES)} ${pick(PLACES)}`;
}

const EXAMPLES = ["a blue heart growing at sunset", "a yellow circle moving up on a meadow"];

/** Queues a run with the present settings and shows it. A seed that is not locked is drawn anew after each. */
export function generate(): void {
  const s = settings.value;
  if (gpu.value.state !== "ready" || missing(s) !== undefined) return;
  const job = enqueue(s);
  if (!current.value || current.value === job) shown.value = { kind: "job", job };
  if (!s.seedLocked) change({ seed: randomSeed() });
}

export function Prompt() {
  const s = settings.value;
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const el = area.current;
    // The style sheet does it by itself where the browser can; measuring forces a layout in the midst of a task.
    if (!el || CSS.supports("field-sizing", "content")) return;
    el.style.height = "auto";
    el.style.height = `${el.scrollHeight + 2}px`;
  }, [s.prompt]);
  const bundled = s.model === BUNDLED;
  return (
    <section class="prompt" aria-label="Prompt">
      <label for="prompt">What does it show?</label>
      <textarea
        id="prompt"
        ref={area}
        rows={2}
        value={s.prompt}
        spellcheck={false}
        placeholder="a red star moving left on a night sky"
        data-tip="The sentence that is animated. Ctrl + Enter generates."
        onInput={(e) => change({ prompt: e.currentTarget.value })}
        onKeyDown={(e) => {
          if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
            e.preventDefault();
            generate();
          }
        }}
      />
      <Travel />
      <Regions />
      <div class="more">
        <Then />
        <There />
      </div>
      {bundled && (
        <div class="ideas">
          <button
            type="button"
            class="chip"
            data-tip="Another sentence that the demo model knows: five shapes in eight colours, six ways to move, four places"
            onClick={() => change({ prompt: idea() })}
          >
            <Icon name="dice" size={15} /> Surprise me
          </button>
          {EXAMPLES.filter((e) => e !== s.prompt).map((text) => (
            <button
              key={text}
              type="button"
              class="chip"
              data-tip="Takes this sentence"
              onClick={() => change({ prompt: text })}
            >
              {text.replace(/^an? /, "")}
            </button>
          ))}
        </div>
      )}
    </section>
  );
}

/** Queues four runs with seeds of their own and shows them beside each other. */
function generateFour(): void {
  const s = settings.value;
  const jobs = Array.from({ length: 4 }, (_, i) => enqueue({ ...s, seed: i === 0 ? s.seed : randomSeed() }));
  shown.value = { kind: "grid", jobs };
  if (!s.seedLocked) change({ seed: randomSeed() });
}

/** Generate, or stop. */
export function Action() {
  const running = current.value;
  const queued = waiting.value.length;
  const ready = gpu.value.state === "ready";
  const s = settings.value;
  const lacking = missing(s);
  return (
    <div class="action">
      {ready && lacking !== undefined && <p class="note lacking">{lacking}</p>}
      <button
        type="button"
        class="primary"
        disabled={!ready || lacking !== undefined}
        data-tip={
          running
            ? "Queues another clip with the present settings"
            : "Makes the clip, on this machine alone. Ctrl + Enter in the prompt does the same."
        }
        onClick={generate}
      >
        {running ? `Queue another${queued > 0 ? ` (${queued} waiting)` : ""}` : "Generate"}
      </button>
      {!running && (
        <IconButton
          icon="grid"
          label="Four seeds"
          tip="Four clips at once, each with a seed of its own, beside each other"
          disabled={!ready || lacking !== undefined}
          onClick={generateFour}
        />
      )}
      {running && (
        <button
          type="button"
          class="secondary"
          data-tip="Stops this clip at once; Escape does the same"
          onClick={() => cancel(running)}
        >
          <Icon name="stop" size={14} /> Stop
        </button>
      )}
    </div>
  );
}
