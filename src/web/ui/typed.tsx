// Fields whose text counts when they are left, or at Enter: what is being typed would be out of bounds, or no number, half way.

import { useState } from "preact/hooks";

/** What names and explains a field. */
interface Named {
  readonly id?: string;
  readonly "aria-label"?: string;
  readonly "data-tip": string;
}

/**
 * A text that is typed. Until it counts it is a draft, which the page keeps however often it is drawn anew meanwhile; Escape
 * takes it back. A draft yields to what changes the value itself (settings that are restored, another seed): that came later,
 * and was asked for.
 */
export function Typed(p: {
  readonly control: Named;
  readonly kind:
    | { readonly type: "text"; readonly inputmode: "numeric" }
    | { readonly type: "number"; readonly min: number; readonly max: number; readonly step: number };
  readonly value: string;
  /** What was typed; the field shows `value` again, changed or not. */
  onEntered(text: string): void;
}) {
  const { value } = p;
  const [draft, setDraft] = useState<{ readonly text: string; readonly over: string } | undefined>();
  const yields = draft !== undefined && draft.over !== value;
  if (yields) setDraft(undefined);
  return (
    <input
      {...p.control}
      {...p.kind}
      class="number"
      value={draft && !yields ? draft.text : value}
      onInput={(e) => setDraft({ text: e.currentTarget.value, over: value })}
      onChange={(e) => {
        setDraft(undefined);
        p.onEntered(e.currentTarget.value);
      }}
      onKeyDown={(e) => {
        if (e.key !== "Escape" || !draft) return;
        e.preventDefault(); // it is not meant for a run
        setDraft(undefined);
      }}
    />
  );
}

/** A number and its bounds. */
export interface Bounded {
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  onChange(value: number): void;
}

/** A number as typed, on the grid of steps and within bounds; undefined where it is none. */
export function numberIn(text: string, { min, max, step }: Omit<Bounded, "value" | "onChange">): number | undefined {
  const n = Number(text);
  if (text.trim() === "" || !Number.isFinite(n)) return undefined;
  const digits = String(step).split(".")[1]?.length ?? 0;
  const onGrid = Math.round((n - min) / step) * step + min;
  return Number(Math.min(max, Math.max(min, onGrid)).toFixed(digits));
}

/** A number alone, to be typed; what is none is taken back. */
export function NumberInput(p: Bounded & { readonly control: Named }) {
  const { min, max, step } = p;
  return (
    <Typed
      control={p.control}
      kind={{ type: "number", min, max, step }}
      value={String(p.value)}
      onEntered={(text) => {
        const n = numberIn(text, p);
        if (n !== undefined) p.onChange(n);
      }}
    />
  );
}
