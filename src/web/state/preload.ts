// The chosen model goes to the adapter while the sentence is being written, so that the first clip begins at once.

import type { RunEvent } from "../engine/protocol.js";
import { engine, facts, ready } from "./engine.js";
import { current, follow } from "./jobs.js";
import { requestOf } from "./request.js";
import { settings } from "./settings.js";

/** Loads the model that the settings name. A job that is asked for meanwhile waits for it, and shows how far it is. */
export async function preload(): Promise<void> {
  if (!ready.peek() || current.peek()) return;
  const onEvent = (event: RunEvent) => {
    const job = current.peek();
    if (job) follow(job, event);
  };
  try {
    facts.value = await engine.call("load", requestOf(settings.peek(), false), { onEvent });
  } catch {
    // Said when a clip is asked for, with the reason.
  }
}
