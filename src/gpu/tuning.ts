// Choices between several ways to do the same work. A kernel that has some asks here, naming the class of its problem (its
// site) and the ways that would do (the first is what the documented table says). Without choices the table stands.
// Collecting notes, for each site that a workload comes by, what every way would dispatch, so that it can be timed; how
// that is done, and where choices are kept, is not known here.

import type { Dispatch } from "./work.js";

/** What was chosen, by site. */
export type Choices = Readonly<Record<string, string>>;

/** Where what was measured is kept: a file, the browser's storage. Neither method throws for want of room or rights. */
export interface TuningCache {
  /** The text kept under a name; undefined where there is none. */
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
}

/** One site of a workload, and what each way dispatches for the first problem of its class. */
export interface Trial {
  readonly site: string;
  /** By name, the table's first. */
  readonly ways: ReadonlyMap<string, readonly Dispatch[]>;
  /** How often the workload comes by. */
  calls: number;
}

/** A device's choices. */
export class Tuning {
  readonly #capture: (body: () => void) => readonly Dispatch[];
  readonly #choices = new Map<string, string>();
  #trials: Map<string, Trial> | undefined;

  /** `capture` runs work without doing it and tells what it would have dispatched. */
  constructor(capture: (body: () => void) => readonly Dispatch[]) {
    this.#capture = capture;
  }

  /** The choices that differ from the table, sorted by site. */
  get choices(): Choices {
    return Object.fromEntries([...this.#choices].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Takes `choices` instead of those there were; what they do not name goes by the table. */
  adopt(choices: Choices): void {
    this.#choices.clear();
    for (const [site, way] of Object.entries(choices)) this.#choices.set(site, way);
  }

  /** From now on notes the sites that come by; the returned map fills. */
  collect(): ReadonlyMap<string, Trial> {
    return (this.#trials ??= new Map());
  }

  /** Does `body` in the way chosen for a site; a choice that is not among `ways` (of another version) is passed over. */
  run<W extends string>(site: () => string, ways: readonly [W, ...W[]], body: (way: W) => void): void {
    const [usual] = ways;
    if (ways.length === 1 || (this.#choices.size === 0 && !this.#trials)) {
      body(usual);
      return;
    }
    const name = site();
    if (this.#trials) this.#note(this.#trials, name, ways, body);
    const chosen = this.#choices.get(name);
    body(ways.find((w) => w === chosen) ?? usual);
  }

  #note<W extends string>(trials: Map<string, Trial>, site: string, ways: readonly W[], body: (way: W) => void): void {
    const known = trials.get(site);
    if (known) known.calls++;
    else {
      const captured = ways.map((way) => [way, this.#capture(() => body(way))] as const);
      trials.set(site, { site, ways: new Map(captured), calls: 1 });
    }
  }
}

/** The class of a size: the power of two that it reaches. */
export function sizeClass(n: number): string {
  return `2^${Math.ceil(Math.log2(Math.max(1, n)))}`;
}
