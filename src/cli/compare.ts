// kineograph compare: the same prompts and seeds by several samplers and numbers of steps, each on its right weights, beside
// each other as an animation and a contact sheet, with a table of what it took and, for the demo model, what it got right.

import type { Clip } from "../io/frames.js";
import { contactSheet, sideBySide, type Montage } from "../io/montage.js";
import { writeAtomically } from "../io/output.js";
import { encodePng } from "../io/png.js";
import type { SchedulerName } from "../schedulers/index.js";
import { openAdapter } from "./adapters.js";
import { checkRun } from "./checks.js";
import { elapsed, seconds as text, table } from "./format.js";
import { render } from "./run.js";
import { openSession, type Session } from "./session.js";
import { interruptible } from "./interrupt.js";
import {
  configurationsOf,
  sheetOf,
  subjectsOf,
  type CompareArguments,
  type Configuration,
  type Subject,
} from "./options-compare.js";
import { checkWritable, outputTarget } from "./output.js";
import { scoreOf, wantedOf, type Score, type Wanted } from "./shapes/caption.js";
import { checkShapes, type Finding } from "./shapes/checker.js";
import { SIZE } from "./shapes/drawing.js";
import { Terminal } from "./terminal.js";

/** Names on the pictures and in the table. */
const NAMES: Readonly<Record<SchedulerName, string>> = {
  lcm: "AnimateLCM",
  ddim: "DDIM",
  dpm: "DPM-Solver",
  "dpm++": "DPM-Solver++",
  "dpm++-sde": "SDE-DPM-Solver++",
  euler: "Euler",
  "euler-a": "Euler ancestral",
  heun: "Heun",
  pndm: "PNDM",
  unipc: "UniPC",
  tcd: "TCD",
};

/** Frames of the training clips, which the checker knows. */
const CHECKED_FRAMES = 16;

/** What one configuration did over all subjects. */
export interface Row {
  readonly scheduler: SchedulerName;
  readonly steps: number;
  readonly guidance: number;
  /** Evaluations of the sampler. */
  readonly evaluations: number;
  /** Clips that the network was run on: twice the evaluations under guidance. */
  readonly calls: number;
  /** Median of a clip's time, from the prompt to the decoded frames; shaders were compiled before. */
  readonly seconds: number;
  /** By the demo model's checker. */
  readonly score?: Score;
  /** Clips that do not show what they should. */
  readonly wrong?: readonly (Subject & { readonly wanted: Wanted; readonly found: Finding })[];
}

export async function compare(prompt: string | undefined, a: CompareArguments): Promise<void> {
  const terminal = new Terminal({ quiet: a.quiet });
  const subjects = await subjectsOf(prompt, a);
  const configurations = configurationsOf(a);
  const sheet = sheetOf(a);
  const output = await outputTarget(a.output!);
  await checkWritable(sheet);
  for (const c of configurations) checkRun(c.run);
  const shown = Math.min(a.show, subjects.length);
  const { rows, adapter } = await interruptible(async (signal) => {
    try {
      const done = await run(a, subjects, configurations, shown, terminal, signal);
      const montage = arrange(subjects.slice(0, shown), configurations, done.clips, a);
      await writeAtomically(
        sheet,
        await encodePng(contactSheet(montage, { ...(a.cell !== undefined && { most: a.cell }) })),
        { signal },
      );
      await output.write(sideBySide(montage, a.cell), { fps: a.fps, signal });
      return done;
    } finally {
      terminal.clear();
    }
  });
  if (a.verbose === true)
    for (const { scheduler, steps, wrong = [] } of rows)
      for (const { prompt: p, seed, found } of wrong)
        terminal.say(
          `${NAMES[scheduler]} ${steps} steps: “${p}” (seed ${seed}) shows ${[found.colour, found.shape, found.motion, found.background].join(", ")}`,
        );
  if (a.json === true)
    console.log(JSON.stringify({ output: a.output, sheet, adapter, prompts: subjects.length, rows }, bigintAsText));
  else console.log(`${textOf(rows)}\n\n${a.output!}\n${sheet}`);
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

/** Makes every clip; those of the first `shown` subjects are kept, by configuration. */
async function run(
  a: CompareArguments,
  subjects: readonly Subject[],
  configurations: readonly Configuration[],
  shown: number,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<{ rows: readonly Row[]; clips: readonly (readonly Clip[])[]; adapter: string }> {
  using device = await openAdapter(a.device);
  const adapter = device.capabilities.name;
  terminal.say(`adapter   ${adapter}`);
  const quiet = new Terminal({ quiet: true });
  const rows: Row[] = [];
  const clips: Clip[][] = configurations.map(() => []);
  const all = configurations.length * subjects.length;
  const start = performance.now();
  let done = 0;
  // Either kind of weights is loaded once.
  for (const distilled of [true, false]) {
    const group = [...configurations.entries()].filter(([, c]) => c.distilled === distilled);
    if (group.length === 0) continue;
    using session = await openSession(device, group[0]![1].run, terminal, signal);
    terminal.refresh("compare", done / all, "compiling shaders");
    await warmUp(session, group[0]![1], subjects[0]!, quiet, signal);
    for (const [index, c] of group) {
      const times: number[] = [];
      const checked: { subject: Subject; wanted: Wanted; found: Finding }[] = [];
      let evaluations = 0;
      for (const [i, subject] of subjects.entries()) {
        const { frames, seconds, timesteps } = await render(
          session,
          subject.prompt,
          { ...c.run, seed: subject.seed },
          undefined,
          quiet,
          signal,
        );
        evaluations = timesteps.length;
        times.push(seconds.text + seconds.denoise + seconds.decode);
        if (i < shown) clips[index]!.push(frames);
        const wanted = session.paths.bundled && isCheckable(frames) ? wantedOf(subject.prompt) : undefined;
        if (wanted) checked.push({ subject, wanted, found: checkShapes(frames) });
        done++;
        const left = (elapsed(start) / done) * (all - done);
        terminal.step(`${done} of ${all}: ${label(c)}, “${subject.prompt}”: ${text(times.at(-1)!)}`);
        terminal.refresh("compare", done / all, `${done}/${all}, about ${text(left)} left`);
      }
      const row = rowOf(c, evaluations, times, checked);
      rows[index] = row;
      // Long comparisons are worth reading before their end.
      const right = row.score ? `, all four right in ${Math.round(100 * row.score.all)} % of ${row.score.clips}` : "";
      terminal.say(`${label(c)}: ${text(row.seconds)} a clip${right}`);
    }
  }
  terminal.done("compare", elapsed(start), `${all} clips`);
  return { rows, clips, adapter };
}

/** One step, so that no clip's time has the compilation of shaders in it. */
async function warmUp(
  session: Session,
  c: Configuration,
  { prompt, seed }: Subject,
  quiet: Terminal,
  signal: AbortSignal,
): Promise<void> {
  await render(session, prompt, { ...c.run, seed, steps: 1 }, undefined, quiet, signal);
}

function isCheckable({ width, height, count }: Clip): boolean {
  return width === SIZE && height === SIZE && count === CHECKED_FRAMES;
}

function rowOf(
  { scheduler, steps, guidance }: Configuration,
  evaluations: number,
  times: readonly number[],
  checked: readonly { readonly subject: Subject; readonly wanted: Wanted; readonly found: Finding }[],
): Row {
  const sorted = times.toSorted((x, y) => x - y);
  const wrong = checked.filter(({ wanted, found }) =>
    (Object.keys(wanted) as (keyof Wanted)[]).some((k) => wanted[k] !== found[k]),
  );
  return {
    scheduler,
    steps,
    guidance,
    evaluations,
    calls: evaluations * (guidance > 1 ? 2 : 1),
    seconds: (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2,
    ...(checked.length > 0 && {
      score: scoreOf(checked),
      wrong: wrong.map(({ subject, wanted, found }) => ({ ...subject, wanted, found })),
    }),
  };
}

function label({ scheduler, steps }: Pick<Configuration, "scheduler" | "steps">): string {
  return `${NAMES[scheduler]}, ${steps} step${steps === 1 ? "" : "s"}`;
}

/** Samplers in columns and prompts by steps in rows; with one sampler the steps are the columns. */
function arrange(
  subjects: readonly Subject[],
  configurations: readonly Configuration[],
  clips: readonly (readonly Clip[])[],
  a: CompareArguments,
): Montage {
  const clipOf = (scheduler: SchedulerName, steps: number, subject: number) =>
    clips[configurations.findIndex((c) => c.scheduler === scheduler && c.steps === steps)]?.[subject];
  const [only] = a.schedulers;
  const alone = subjects.length === 1;
  const named = ({ prompt, seed }: Subject) => `${prompt} (seed ${seed})`;
  const title = alone ? named(subjects[0]!) : "";
  if (a.schedulers.length === 1)
    return {
      title: `${NAMES[only!]}${title === "" ? "" : `: ${title}`}`,
      columns: a.steps.map((n) => `${n} step${n === 1 ? "" : "s"}`),
      rows: subjects.map((s, i) => ({ label: alone ? "" : named(s), clips: a.steps.map((n) => clipOf(only!, n, i)) })),
    };
  return {
    title: a.steps.length === 1 ? `${a.steps[0]} steps${title === "" ? "" : `: ${title}`}` : title,
    columns: a.schedulers.map((s) => NAMES[s]),
    rows: subjects.flatMap((s, i) =>
      a.steps.map((n) => ({
        label: [alone ? "" : named(s), a.steps.length === 1 ? "" : `${n} steps`].filter((t) => t !== "").join(", "),
        clips: a.schedulers.map((name) => clipOf(name, n, i)),
      })),
    ),
  };
}

function textOf(rows: readonly Row[]): string {
  const scored = rows.some((r) => r.score);
  const head = ["sampler", "steps", "guidance", "network calls", "a clip"];
  const scores = ["colour", "shape", "motion", "background", "all four", "overlap", "jitter"];
  const percent = (x: number) => `${Math.round(100 * x)} %`;
  const lines = rows.map((r) => {
    const { score: s } = r;
    const cells = [NAMES[r.scheduler], String(r.steps), String(r.guidance), String(r.calls), text(r.seconds)];
    if (!scored) return cells;
    if (!s) return [...cells, ...scores.map(() => "")];
    const shares = [s.colour, s.shape, s.motion, s.background, s.all].map(percent);
    return [...cells, ...shares, s.overlap.toFixed(3), s.jitter.toFixed(2)];
  });
  return table([scored ? [...head, ...scores] : head, ...lines], [false, ...Array.from({ length: 11 }, () => true)]);
}
