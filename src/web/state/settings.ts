// What the controls say: one plain object in a signal, kept in localStorage.

import { signal } from "@preact/signals";
import { DEFAULTS, settingsFrom, type Settings } from "./defaults.js";
import { keep, kept } from "./kept.js";
import { fromLink } from "./share.js";

const KEY = "kineograph.settings";

function stored(): Settings {
  try {
    return settingsFrom(JSON.parse(kept(KEY) ?? "null"));
  } catch {
    return DEFAULTS;
  }
}

export const settings = signal<Settings>(fromLink(location.hash) ?? stored());

settings.subscribe((value) => keep(KEY, JSON.stringify(value)));

export function change(patch: Partial<Settings>): void {
  settings.value = { ...settings.value, ...patch };
}

/** What a control calls with its new value. */
export function setter<K extends keyof Settings>(name: K): (value: Settings[K]) => void {
  return (value) => change({ [name]: value } as Pick<Settings, K>);
}
