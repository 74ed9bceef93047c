// A path drawn on the picture with a pointer, at the speed at which the clip will follow it, or typed point by point.

import { useRef, useState } from "preact/hooks";
import { placeAt, simplified, type Point } from "../state/path.js";
import { change } from "../state/settings.js";
import { Fold, IconButton } from "./controls.js";
import { Icon } from "./icons.js";
import { autoplays } from "./player.js";
import { NumberInput } from "./typed.js";

interface PadProps {
  readonly path: readonly Point[];
  readonly size: { readonly width: number; readonly height: number; readonly frames: number; readonly fps: number };
  readonly disc: number;
}

const START: readonly Point[] = [
  { x: 0.25, y: 0.5, t: 0 },
  { x: 0.75, y: 0.5, t: 1 },
];

/** The picture to draw on, and its points in numbers. */
export function PathPad({ path, size, disc }: PadProps) {
  const [drawing, setDrawing] = useState<readonly Point[]>([]);
  const pad = useRef<SVGSVGElement>(null);
  const { width, height, frames, fps } = size;
  const line = drawing.length > 0 ? drawing : path;
  const radius = disc * Math.min(width, height);
  const place = (e: PointerEvent): Point => {
    const box = pad.current!.getBoundingClientRect();
    const part = (at: number, from: number, length: number) => Math.min(1, Math.max(0, (at - from) / length));
    return { x: part(e.clientX, box.left, box.width), y: part(e.clientY, box.top, box.height), t: e.timeStamp };
  };
  const end = () => {
    if (drawing.length > 0) change({ controlPath: simplified(drawing) });
    setDrawing([]);
  };
  return (
    <>
      <svg
        ref={pad}
        class="pad"
        viewBox={`0 0 ${width} ${height}`}
        style={{ aspectRatio: `${width} / ${height}`, "--ratio": width / height }}
        role="img"
        aria-label={path.length === 0 ? "No path yet" : `A path of ${path.length} points`}
        data-tip="Draw the way of the thing, with mouse, finger or pen. By keyboard: Points, below."
        onPointerDown={(e) => {
          e.currentTarget.setPointerCapture(e.pointerId);
          setDrawing([place(e)]);
        }}
        onPointerMove={(e) => {
          if (drawing.length > 0) setDrawing([...drawing, place(e)]);
        }}
        onPointerUp={end}
        onPointerCancel={end}
      >
        {line.length === 0 ? (
          <text x={width / 2} y={height / 2} font-size={Math.min(width, height) / 12}>
            draw here
          </text>
        ) : (
          <>
            <polyline points={line.map((p) => `${p.x * width},${p.y * height}`).join(" ")} />
            <Disc key={JSON.stringify(path)} path={line} size={size} radius={radius} seconds={frames / fps} />
          </>
        )}
      </svg>
      <Points path={path} frames={frames} />
    </>
  );
}

/** The disc on its way. */
function Disc(p: {
  readonly path: readonly Point[];
  readonly size: PadProps["size"];
  readonly radius: number;
  readonly seconds: number;
}) {
  const { width, height } = p.size;
  const first = placeAt(p.path, 0);
  const moves = autoplays() && p.path.length > 1 && p.path.at(-1)!.t === 1;
  const way = (axis: "x" | "y", length: number) => ({
    values: p.path.map((q) => q[axis] * length).join(";"),
    keyTimes: p.path.map((q) => q.t).join(";"),
    dur: `${p.seconds}s`,
    repeatCount: "indefinite",
  });
  return (
    <circle cx={first.x * width} cy={first.y * height} r={p.radius}>
      {moves && p.path[0]!.t === 0 && <animate attributeName="cx" {...way("x", width)} />}
      {moves && p.path[0]!.t === 0 && <animate attributeName="cy" {...way("y", height)} />}
    </circle>
  );
}

/** The path's points in numbers: in per cent of the picture, and frames. */
function Points({ path, frames }: { readonly path: readonly Point[]; readonly frames: number }) {
  const last = Math.max(1, frames - 1);
  const put = (i: number, patch: Partial<Point>) =>
    change({ controlPath: path.map((p, k) => (k === i ? { ...p, ...patch } : p)).toSorted((a, b) => a.t - b.t) });
  const field = (i: number, name: string, value: number, most: number, onChange: (part: number) => void) => (
    <NumberInput
      control={{
        "aria-label": `${name} of point ${i + 1}`,
        "data-tip": name === "Frame" ? `The frame at which it is there, 0 to ${last}` : "Per cent of the picture",
      }}
      value={Math.round(value * most)}
      min={0}
      max={most}
      step={1}
      onChange={(n) => onChange(n / most)}
    />
  );
  const add = () => {
    const end = path.at(-1);
    if (!end) return change({ controlPath: START });
    const shrunk = path.map((p) => ({ ...p, t: (p.t * path.length) / (path.length + 1) }));
    change({ controlPath: [...shrunk, { x: 1 - end.x, y: end.y, t: 1 }] });
  };
  return (
    <Fold title="Points" note={path.length === 0 ? undefined : String(path.length)}>
      {path.length > 0 && (
        <p class="point muted small" aria-hidden="true">
          <span>from left, %</span> <span>from top, %</span> <span>frame</span> <span />
        </p>
      )}
      {path.map((p, i) => (
        <div class="point" key={i}>
          {field(i, "From left", p.x, 100, (x) => put(i, { x }))}
          {field(i, "From top", p.y, 100, (y) => put(i, { y }))}
          {field(i, "Frame", p.t, last, (t) => put(i, { t }))}
          <IconButton
            icon="close"
            label={`Take out point ${i + 1}`}
            onClick={() => change({ controlPath: path.filter((_, k) => k !== i) })}
          />
        </div>
      ))}
      <button type="button" class="quiet add" data-tip="A point at the path's end" onClick={add}>
        <Icon name="plus" size={15} /> Add a point
      </button>
      {path.length > 0 && (
        <button
          type="button"
          class="quiet add"
          data-tip="Takes the whole path away"
          onClick={() => change({ controlPath: [] })}
        >
          <Icon name="close" size={15} /> Clear the path
        </button>
      )}
    </Fold>
  );
}
