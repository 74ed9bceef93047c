// Short messages at the page's edge, read out by screen readers.

import { signal } from "@preact/signals";

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly kind: "note" | "error";
}

export const toasts = signal<readonly Toast[]>([]);

let next = 1;

/** Shows a message for some seconds; errors stay until dismissed. */
export function say(text: string, kind: Toast["kind"] = "note"): void {
  const toast = { id: next++, text, kind };
  toasts.value = [...toasts.value.filter((t) => t.text !== text), toast].slice(-4);
  if (kind === "note") setTimeout(() => hush(toast.id), 6000);
}

export function hush(id: number): void {
  toasts.value = toasts.value.filter((t) => t.id !== id);
}
