/**
 * Which timesteps a run visits: numpy's rounding (half to even) and ranges, and the three spacings of Table 2 of
 * arXiv 2305.08891, as diffusers computes them.
 */
import type { TimestepSpacing } from "./config.js";
import type { Scheduler } from "./plan.js";

/** numpy.round: halves go to the even neighbour. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** numpy.linspace(start, stop, n, endpoint). */
export function linspace(start: number, stop: number, n: number, endpoint = true): number[] {
  const div = endpoint ? n - 1 : n;
  const step = div > 0 ? (stop - start) / div : 0;
  return Array.from({ length: n }, (_, i) => (endpoint && n > 1 && i === n - 1 ? stop : start + i * step));
}

/** Timesteps from `start` − 1 down by `ratio`, as numpy.arange(start, 0, -ratio) counts them. */
export function trailing(start: number, ratio: number): number[] {
  const delta = start - ratio - start;
  return Array.from({ length: Math.ceil(start / ratio) }, (_, i) => roundHalfEven(start + i * delta) - 1);
}

/** The spaced timesteps of a run, descending and unrounded for "linspace"; `round` is applied as each spacing does. */
export function spacedTimesteps(
  spacing: TimestepSpacing,
  trainTimesteps: number,
  steps: number,
  stepsOffset: number,
): number[] {
  switch (spacing) {
    case "linspace":
      return linspace(0, trainTimesteps - 1, steps).toReversed();
    case "leading": {
      const ratio = Math.floor(trainTimesteps / steps);
      return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * ratio + stepsOffset);
    }
    case "trailing":
      return trailing(trainTimesteps, trainTimesteps / steps);
  }
}

/** How many of n steps a run of this strength makes: the last int(n·strength). */
export function stepsOfStrength(steps: number, strength: number): number {
  if (!(strength > 0 && strength <= 1))
    throw new Error(`strength ${strength} is not in (0, 1]; 1 starts from pure noise.`);
  const kept = Math.min(Math.trunc(steps * strength), steps);
  if (kept === 0) {
    throw new Error(
      `strength ${strength} of ${steps} steps leaves no step to run; use at least ${Math.ceil(1 / strength)} steps.`,
    );
  }
  return kept;
}

/** Checks a number of steps against what the model was trained for. */
export function checkSteps(steps: number, trainTimesteps: number): void {
  if (!Number.isSafeInteger(steps) || steps < 1)
    throw new Error(`steps must be a whole number of at least 1, got ${steps}.`);
  if (steps > trainTimesteps) {
    throw new Error(
      `steps ${steps} is above the ${trainTimesteps} timesteps of the model's training; use fewer steps.`,
    );
  }
}

/** timesteps[i], or an error that says how many there are. */
export function timestepAt(scheduler: Scheduler, i: number): number {
  const t = scheduler.timesteps[i];
  if (t === undefined) {
    throw new Error(`${scheduler.name} has steps 0 to ${scheduler.timesteps.length - 1} in this run, not ${i}.`);
  }
  return t;
}
