// Settings as an address and back.

import { DEFAULTS, settingsFrom, type Settings } from "./defaults.js";
import { withNames, type Named } from "./names.js";

/** The address that opens the page with these settings; models go by name, since another browser has its own. */
export function shareLink(s: Settings, models: readonly Named[]): string {
  const differing = Object.entries(withNames(s, models)).filter(
    ([name, value]) =>
      name !== "seedLocked" &&
      name !== "mode" &&
      JSON.stringify(value) !== JSON.stringify(DEFAULTS[name as keyof Settings]),
  );
  const kept = { ...Object.fromEntries(differing), prompt: s.prompt, seed: s.seed };
  const url = new URL(location.href);
  url.hash = `s=${encodeURIComponent(JSON.stringify(kept))}`;
  return url.href;
}

/** The settings in a share link's fragment. */
export function fromLink(hash: string): Settings | undefined {
  const text = /^#s=(.+)$/.exec(hash)?.[1];
  if (text === undefined) return undefined;
  try {
    return settingsFrom(JSON.parse(decodeURIComponent(text)));
  } catch {
    return undefined;
  }
}
