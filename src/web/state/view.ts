// Where the page is: tab, the clip or job on the stage, theme.

import { signal } from "@preact/signals";
import type { Clip } from "./history.js";
import type { Job } from "./jobs.js";
import { keep, kept } from "./kept.js";

export type Tab = "create" | "models" | "learn";

export const tab = signal<Tab>(tabOf(location.hash));

function tabOf(hash: string): Tab {
  return hash === "#models" ? "models" : hash === "#learn" ? "learn" : "create";
}

addEventListener("hashchange", () => {
  tab.value = tabOf(location.hash);
});

export function goTo(to: Tab): void {
  tab.value = to;
  history.replaceState(null, "", to === "create" ? location.pathname + location.search : `#${to}`);
}

/** What the stage shows: a job in progress or failed, or a clip, beside another when two are compared. */
export type Shown =
  | { readonly kind: "nothing" }
  | { readonly kind: "job"; readonly job: Job }
  | { readonly kind: "clip"; readonly clip: Clip }
  | { readonly kind: "grid"; readonly jobs: readonly Job[] }
  | { readonly kind: "pair"; readonly a: Clip; readonly b: Clip };

export const shown = signal<Shown>({ kind: "nothing" });
/** The first of two clips to be compared, while the second is picked. */
export const comparing = signal<Clip | undefined>(undefined);

export type Theme = "light" | "dark";

const KEY = "kineograph.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function initial(): Theme {
  const chosen = kept(KEY);
  return chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light";
}

export const theme = signal<Theme>(initial());

theme.subscribe((value) => {
  document.documentElement.dataset["theme"] = value;
});

system.addEventListener("change", () => {
  if (kept(KEY) === null) theme.value = system.matches ? "dark" : "light";
});

export function setTheme(value: Theme): void {
  theme.value = value;
  keep(KEY, value);
}
