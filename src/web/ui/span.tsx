// The part of the steps in which something acts, folded away.

import { Fold, Range } from "./controls.js";

export function Span(p: { readonly start: number; readonly end: number; onChange(start: number, end: number): void }) {
  const all = p.start === 0 && p.end === 1;
  return (
    <Fold title="When" note={all ? undefined : `${Math.round(p.start * 100)} to ${Math.round(p.end * 100)} %`}>
      <Range
        label="From"
        tip="The part of the steps from which on it acts: early steps lay out the picture, late ones its detail."
        value={p.start}
        min={0}
        max={1}
        step={0.05}
        onChange={(start) => p.onChange(start, Math.max(start, p.end))}
      />
      <Range
        label="Until"
        tip="The part of the steps until which it acts: 1 is the end, 0.5 half of them."
        value={p.end}
        min={0}
        max={1}
        step={0.05}
        onChange={(end) => p.onChange(Math.min(p.start, end), end)}
      />
    </Fold>
  );
}
