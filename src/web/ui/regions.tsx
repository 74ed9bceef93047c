// Sentences for parts of the picture: rectangles drawn on it with a pointer, or moved and sized by keys, each in its colour
// with its sentence beside the number.

import { useRef, useState } from "preact/hooks";
import { clips } from "../state/history.js";
import { between, freePlace, LEAST, moved, resized, type Place, type Region } from "../state/regions.js";
import { change, settings } from "../state/settings.js";
import { pagesOf } from "../state/strip.js";
import { shown } from "../state/view.js";
import { Fold, IconButton, Range } from "./controls.js";
import { Icon } from "./icons.js";
import { NumberInput } from "./typed.js";

/** Colours that style sheets name; further regions begin anew. */
const COLOURS = 6;

function colour(i: number): { readonly "--colour": string } {
  return { "--colour": `var(--region-${(i % COLOURS) + 1})` };
}

/** Adds a region that is not drawn. */
export function There() {
  return (
    <button
      type="button"
      id="add-region"
      class="quiet add"
      data-tip="A sentence for a part of the picture, where you draw it"
      onClick={() => {
        const { regions } = settings.value;
        add(freePlace(regions));
      }}
    >
      <Icon name="plus" size={15} /> There…
    </button>
  );
}

function add(place: Place): void {
  const { regions } = settings.value;
  change({ regions: [...regions, { text: "", ...place }] });
  // Once it is on the page.
  requestAnimationFrame(() => document.getElementById(`region-${regions.length}`)?.focus());
}

function put(index: number, patch: Partial<Region>): void {
  const { regions } = settings.value;
  change({ regions: regions.map((r, i) => (i === index ? { ...r, ...patch } : r)) });
}

function takeOut(index: number): void {
  change({ regions: settings.value.regions.filter((_, i) => i !== index) });
  document.getElementById("add-region")?.focus();
}

export function Regions() {
  const s = settings.value;
  if (s.regions.length === 0) return null;
  return (
    <div class="regions" role="group" aria-label="Parts of the picture">
      <Pad regions={s.regions} size={s} />
      {s.regions.map((r, i) => (
        <div class="region-row" key={i} style={colour(i)}>
          <span class="badge" aria-hidden="true">
            {i + 1}
          </span>
          <input
            id={`region-${i}`}
            type="text"
            aria-label={`Sentence of part ${i + 1}`}
            data-tip="What this part of the picture shows"
            placeholder="what is there"
            value={r.text}
            onInput={(e) => put(i, { text: e.currentTarget.value })}
          />
          <IconButton icon="close" label={`Take out part ${i + 1}`} onClick={() => takeOut(i)} />
        </div>
      ))}
      <Range
        label="Strength"
        tip="How much a part's own sentence counts in it against the one above: at 1 it holds alone, at 0 not at all."
        value={Number((1 - s.regionBase).toFixed(2))}
        min={0}
        max={1}
        step={0.05}
        onChange={(strength) => change({ regionBase: Number((1 - strength).toFixed(2)) })}
      />
      <Numbers regions={s.regions} />
    </div>
  );
}

/** What a pointer is doing on the pad: where it pressed, and what the region was then. */
interface Drag {
  readonly index: number;
  readonly x: number;
  readonly y: number;
  readonly from: Place | undefined;
  /** The corner that stays, where another is dragged. */
  readonly fixed: readonly [x: number, y: number] | undefined;
}

const CORNERS = [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
] as const;

function Pad(p: {
  readonly regions: readonly Region[];
  readonly size: { readonly width: number; readonly height: number };
}) {
  const pad = useRef<HTMLDivElement>(null);
  const drag = useRef<Drag | undefined>(undefined);
  const [live, setLive] = useState<{ readonly index: number; readonly place: Place } | undefined>();
  const at = (e: PointerEvent): readonly [number, number] => {
    const box = pad.current!.getBoundingClientRect();
    return [(e.clientX - box.left) / box.width, (e.clientY - box.top) / box.height];
  };
  const begin = (e: PointerEvent) => {
    if (e.button !== 0 || !(e.target instanceof Element)) return;
    const [x, y] = at(e);
    const index = Number(e.target.closest("[data-region]")?.getAttribute("data-region") ?? p.regions.length);
    const from = p.regions[index];
    const corner = CORNERS[Number(e.target.getAttribute("data-corner") ?? CORNERS.length)];
    const fixed =
      from && corner && ([from.x + (1 - corner[0]) * from.width, from.y + (1 - corner[1]) * from.height] as const);
    drag.current = { index, x, y, from, fixed };
    pad.current!.setPointerCapture(e.pointerId);
  };
  const go = (e: PointerEvent) => {
    const d = drag.current;
    if (!d) return;
    const [x, y] = at(e);
    const place = d.fixed
      ? between(d.fixed[0], d.fixed[1], x, y)
      : d.from
        ? moved(d.from, x - d.x, y - d.y)
        : between(d.x, d.y, x, y);
    setLive({ index: d.index, place });
  };
  const end = () => {
    const d = drag.current;
    drag.current = undefined;
    setLive(undefined);
    if (!d) return;
    // A press alone chooses a region; too small a drawing is none.
    if (!live) document.getElementById(`region-${d.index}`)?.focus();
    else if (live.place.width >= LEAST && live.place.height >= LEAST)
      if (d.from) put(d.index, live.place);
      else add(live.place);
  };
  const key = (e: KeyboardEvent, i: number) => {
    const way = WAYS[e.key];
    const r = p.regions[i]!;
    if (e.key === "Delete" || e.key === "Backspace") takeOut(i);
    else if (way) put(i, e.shiftKey ? resized(r, ...way) : moved(r, ...way));
    else return;
    e.preventDefault();
  };
  const places = p.regions.map((r, i): Place => (live?.index === i ? live.place : r));
  const all = live && live.index === p.regions.length ? [...places, live.place] : places;
  return (
    <div
      ref={pad}
      class="pad parts"
      style={{
        aspectRatio: `${p.size.width} / ${p.size.height}`,
        "--ratio": p.size.width / p.size.height,
        ...backdrop(p.size),
      }}
      role="group"
      aria-label="Where they are"
      data-tip="Draw a rectangle for another part; drag one to move it, its corners to size it. By keyboard: the arrow keys move a part, with Shift they size it, Delete takes it out."
      onPointerDown={begin}
      onPointerMove={go}
      onPointerUp={end}
      onPointerCancel={() => {
        drag.current = undefined;
        setLive(undefined);
      }}
    >
      {all.map((r, i) => (
        <button
          key={i}
          type="button"
          class="part-of"
          data-region={i}
          aria-label={`Part ${i + 1}: ${percents(r)}`}
          style={{
            ...colour(i),
            left: `${r.x * 100}%`,
            top: `${r.y * 100}%`,
            width: `${r.width * 100}%`,
            height: `${r.height * 100}%`,
          }}
          onKeyDown={(e) => key(e, i)}
          onClick={() => document.getElementById(`region-${i}`)?.focus()}
        >
          <span class="badge" aria-hidden="true">
            {i + 1}
          </span>
          {CORNERS.map(([x, y], c) => (
            <i key={c} data-corner={c} style={{ left: `${x * 100}%`, top: `${y * 100}%` }} />
          ))}
        </button>
      ))}
    </div>
  );
}

const WAYS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-0.05, 0],
  ArrowRight: [0.05, 0],
  ArrowUp: [0, -0.05],
  ArrowDown: [0, 0.05],
};

function percents({ x, y, width, height }: Place): string {
  const [left, top, right, bottom] = [x, y, x + width, y + height].map((n) => Math.round(n * 100));
  return `${left} to ${right} % across, ${top} to ${bottom} % down`;
}

/** The clip on the stage, or the latest, faintly below the parts, where it has the picture's shape. */
function backdrop({ width, height }: { readonly width: number; readonly height: number }): object {
  const s = shown.value;
  const clip = s.kind === "clip" ? clips.value.find((c) => c.id === s.clip.id) : clips.value[0];
  if (clip?.strip === undefined || Math.abs(clip.width / clip.height - width / height) > 0.02) return {};
  return { "--strip": `url(${clip.strip})`, "--count": pagesOf(clip) };
}

/** The rectangles in per cent of the picture. */
function Numbers({ regions }: { readonly regions: readonly Region[] }) {
  const field = (
    i: number,
    name: string,
    value: number,
    least: number,
    most: number,
    onChange: (n: number) => void,
  ) => (
    <NumberInput
      control={{ "aria-label": `${name} of part ${i + 1}, per cent`, "data-tip": "Per cent of the picture" }}
      value={Math.round(value * 100)}
      min={Math.round(least * 100)}
      max={Math.round(most * 100)}
      step={1}
      onChange={(n) => onChange(Math.min(most, Math.max(least, n / 100)))}
    />
  );
  return (
    <Fold title="Places in numbers">
      <p class="place muted small" aria-hidden="true">
        <span /> <span>left</span> <span>top</span> <span>width</span> <span>height, %</span>
      </p>
      {regions.map((r, i) => (
        <div class="place" key={i} style={colour(i)}>
          <span class="badge" aria-hidden="true">
            {i + 1}
          </span>
          {field(i, "Left", r.x, 0, 1 - r.width, (x) => put(i, { x }))}
          {field(i, "Top", r.y, 0, 1 - r.height, (y) => put(i, { y }))}
          {field(i, "Width", r.width, LEAST, 1 - r.x, (width) => put(i, { width }))}
          {field(i, "Height", r.height, LEAST, 1 - r.y, (height) => put(i, { height }))}
        </div>
      ))}
    </Fold>
  );
}
