// The page's controls: native inputs with a label, a tooltip and one look. `tip` goes to the tooltip (tooltip.tsx) and,
// through it, to screen readers.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { Icon, type IconName } from "./icons.js";

/** A labelled row. */
export function Field(p: { readonly label: string; readonly for: string; readonly children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={p.for}>{p.label}</label>
      {p.children}
    </div>
  );
}

interface NumberProps {
  readonly label: string;
  readonly tip: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** What the number field takes beyond the slider's end. */
  readonly limit?: number;
  onChange(value: number): void;
}

/** A slider with the number beside it, to be typed. */
export function Range(p: NumberProps) {
  const id = useId();
  const digits = p.step < 1 ? (String(p.step).split(".")[1]?.length ?? 0) : 0;
  const set = (text: string, max: number) => {
    const n = Number(text);
    if (text.trim() === "" || !Number.isFinite(n)) return;
    const onGrid = Math.round((n - p.min) / p.step) * p.step + p.min;
    p.onChange(Number(Math.min(max, Math.max(p.min, onGrid)).toFixed(digits)));
  };
  const part = Math.min(1, (p.value - p.min) / (p.max - p.min));
  return (
    <Field label={p.label} for={id}>
      <div class="range">
        <input
          id={id}
          type="range"
          min={p.min}
          max={p.max}
          step={p.step}
          value={p.value}
          style={{ "--part": part }}
          data-tip={p.tip}
          onInput={(e) => set(e.currentTarget.value, p.max)}
        />
        <input
          type="number"
          class="number"
          aria-label={`${p.label}, as a number`}
          min={p.min}
          max={p.limit ?? p.max}
          step={p.step}
          value={p.value}
          data-tip={p.tip}
          onChange={(e) => {
            set(e.currentTarget.value, p.limit ?? p.max);
            e.currentTarget.value = String(p.value);
          }}
        />
      </div>
    </Field>
  );
}

/** A plain number. */
export function NumberField(p: NumberProps) {
  const id = useId();
  return (
    <div class="field-narrow">
      <label for={id}>{p.label}</label>
      <input
        id={id}
        type="number"
        class="number"
        min={p.min}
        max={p.max}
        step={p.step}
        value={p.value}
        data-tip={p.tip}
        onChange={(e) => {
          const n = Number(e.currentTarget.value);
          const fit = Math.round(Math.min(p.max, Math.max(p.min, n)) / p.step) * p.step;
          if (Number.isFinite(fit)) p.onChange(fit);
          e.currentTarget.value = String(Number.isFinite(fit) ? fit : p.value);
        }}
      />
    </div>
  );
}

/** One of several. */
export function Choice<T extends string>(p: {
  readonly label: string;
  readonly tip: string;
  readonly value: T;
  readonly options: readonly (readonly [value: T, text: string])[];
  onChange(value: T): void;
}) {
  const id = useId();
  return (
    <Field label={p.label} for={id}>
      <span class="select">
        <select
          id={id}
          data-tip={p.tip}
          onChange={(e) => {
            const found = p.options.find(([value]) => value === e.currentTarget.value);
            if (found) p.onChange(found[0]);
          }}
        >
          {p.options.map(([value, text]) => (
            // The options may come later than the value: each says for itself whether it is chosen.
            <option key={value} value={value} selected={value === p.value}>
              {text}
            </option>
          ))}
        </select>
        <Icon name="chevron" size={16} />
      </span>
    </Field>
  );
}

/** One of a few, side by side: [value, text, tip]. */
export function Switch<T extends string>(p: {
  readonly label: string;
  readonly value: T;
  readonly options: readonly (readonly [value: T, text: string, tip: string])[];
  onChange(value: T): void;
}) {
  const id = useId();
  return (
    <div class="field">
      <span class="label" id={id}>
        {p.label}
      </span>
      <div class="switch" role="group" aria-labelledby={id}>
        {p.options.map(([value, text, tip]) => (
          <button
            key={value}
            type="button"
            aria-pressed={p.value === value}
            data-tip={tip}
            onClick={() => p.onChange(value)}
          >
            {text}
          </button>
        ))}
      </div>
    </div>
  );
}

/** A button that is an icon. */
export function IconButton(p: {
  readonly icon: IconName;
  readonly label: string;
  readonly tip?: string;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
  onClick(): void;
}) {
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={p.label}
      data-tip={p.tip ?? p.label}
      disabled={p.disabled}
      {...(p.pressed !== undefined && { "aria-pressed": p.pressed })}
      onClick={() => p.onClick()}
    >
      <Icon name={p.icon} />
    </button>
  );
}

/** What is folded away until asked for; remembers nothing. */
export function Fold(p: {
  readonly title: string;
  readonly note?: string | undefined;
  readonly open?: boolean;
  readonly children: ComponentChildren;
}) {
  const [open, setOpen] = useState(p.open ?? false);
  return (
    <details class="fold" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <Icon name="chevron" size={16} />
        <span>{p.title}</span>
        {p.note !== undefined && <small>{p.note}</small>}
      </summary>
      {open && <div class="fold-body">{p.children}</div>}
    </details>
  );
}
