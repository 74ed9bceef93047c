// The page's controls: native inputs in rows with a label, a tooltip and one look. `tip` goes to the tooltip (tooltip.tsx)
// and, through it, to screen readers.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { Icon, type IconName } from "./icons.js";
import { NumberInput, numberIn, type Bounded } from "./typed.js";

/** What a row gives to its control, which spreads it: what the label names, and the tooltip. */
export interface Labelled {
  readonly id: string;
  readonly "data-tip": string;
}

/** A control with its label beside it (`wide`: above it) and its tooltip. */
export function Row(p: {
  readonly label: string;
  readonly tip: string;
  /** Said of the label, smaller. */
  readonly note?: string | undefined;
  readonly look?: "wide" | "narrow";
  readonly children: (control: Labelled) => ComponentChildren;
}) {
  const id = useId();
  return (
    <div class={p.look ? `field ${p.look}` : "field"}>
      <label for={id}>
        {p.label} {p.note !== undefined && <small>{p.note}</small>}
      </label>
      {p.children({ id, "data-tip": p.tip })}
    </div>
  );
}

interface NumberProps extends Bounded {
  readonly label: string;
  readonly tip: string;
}

/** A slider with the number beside it, to be typed: up to `limit`, beyond the slider's end. */
export function Range(p: NumberProps & { readonly limit?: number }) {
  const part = Math.min(1, (p.value - p.min) / (p.max - p.min));
  return (
    <Row label={p.label} tip={p.tip}>
      {(control) => (
        <div class="range">
          <input
            {...control}
            type="range"
            min={p.min}
            max={p.max}
            step={p.step}
            value={p.value}
            style={{ "--part": part }}
            onInput={(e) => {
              const n = numberIn(e.currentTarget.value, p);
              if (n !== undefined) p.onChange(n);
            }}
          />
          <NumberInput
            {...p}
            max={p.limit ?? p.max}
            control={{ "aria-label": `${p.label}, as a number`, "data-tip": p.tip }}
          />
        </div>
      )}
    </Row>
  );
}

/** A plain number. */
export function NumberField(p: NumberProps) {
  return (
    <Row label={p.label} tip={p.tip} look="narrow">
      {(control) => <NumberInput {...p} control={control} />}
    </Row>
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
  return (
    <Row label={p.label} tip={p.tip}>
      {(control) => (
        <span class="select">
          <select
            {...control}
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
      )}
    </Row>
  );
}

/** One of a few, side by side: [value, text, tip]. A group has no one control that its label could name. */
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
