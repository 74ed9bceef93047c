// The stage: the clip, the way it is coming about, two clips side by side, or what to do first.

import { gpu } from "../state/engine.js";
import { shown, type Shown as ShownState } from "../state/view.js";
import { ClipView } from "./clip-view.js";
import { Grid } from "./grid.js";
import { Help } from "./help.js";
import { JobView } from "./job-view.js";
import { Pair } from "./pair.js";

export function Stage() {
  const s = shown.value;
  const g = gpu.value;
  if (s.kind === "nothing") return g.state === "missing" ? <Help gpu={g} /> : <Empty />;
  return (
    <>
      <h1 class="unseen">{TITLES[s.kind]}</h1>
      <Shown s={s} />
    </>
  );
}

/** What the page is about, for those who hear it. */
const TITLES = { clip: "A clip", grid: "Four seeds", pair: "Two clips", job: "A clip in the making" } as const;

function Shown({ s }: { readonly s: Exclude<ShownState, { readonly kind: "nothing" }> }) {
  if (s.kind === "clip") return <ClipView key={s.clip.id} clip={s.clip} />;
  if (s.kind === "grid") return <Grid jobs={s.jobs} />;
  if (s.kind === "pair") return <Pair a={s.a} b={s.b} />;
  return <JobView key={s.job.id} job={s.job} />;
}

function Empty() {
  return (
    <div class="empty">
      <div class="paper blank" aria-hidden="true">
        <div class="flip">
          <i />
          <i />
          <i />
          <i />
          <i />
          <i />
          <i />
          <i />
        </div>
      </div>
      <h1>A sentence becomes an animation</h1>
      <p>
        Write what moves, press Generate, and watch it come out of the noise. Everything is computed on this machine;
        nothing leaves it.
      </p>
    </div>
  );
}
