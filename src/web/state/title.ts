// The tab's title tells those who look elsewhere how far the run is, and what became of it.

import { effect } from "@preact/signals";
import { importing } from "./desk.js";
import { current, jobs } from "./jobs.js";
import { doneOf } from "./parts.js";

const OUTCOMES: Readonly<Record<string, string>> = { done: "✓ Done", failed: "✗ Failed" };

function percent(part: number): string {
  return `${Math.floor(100 * part)} %`;
}

/** Keeps the title; to be called once. */
export function keepTitle(): void {
  const name = document.title;
  let outcome = "";
  const show = () => {
    const job = current.peek();
    const download = importing.peek();
    const news = job
      ? percent(doneOf(job))
      : download
        ? `↓ ${percent(download.doneBytes / download.totalBytes)}`
        : outcome;
    document.title = news === "" ? name : `${news} – ${name}`;
  };
  effect(() => {
    const job = current.value;
    void job?.progress.value;
    void importing.value;
    const last = jobs.value.findLast((j) => j.state.value in OUTCOMES);
    // Those who look see it on the page.
    if (!job && last && document.hidden) outcome = OUTCOMES[last.state.value] ?? "";
    show();
  });
  // Time passes without events. Hidden tabs' timers are slowed down, but a worker's events are not.
  setInterval(() => {
    if (current.peek()) show();
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    outcome = "";
    show();
  });
}
