// Options of the plan that are not built yet. They are refused by name, never accepted and ignored.

import { UsageError } from "./failure.js";

/** Options of `generate` with what they will take. */
export const LATER_OPTIONS: readonly string[] = ["--region <spec>"];

/** Refuses something planned. */
export function notYet(what: string, instead = ""): UsageError {
  return new UsageError(`${what} is not there yet in this version${instead === "" ? "" : `; ${instead}`}`);
}
