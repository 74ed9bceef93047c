// Parsers of option values, for commander: each returns the value or says what was expected.

import { InvalidArgumentError } from "commander";

/** One of a few words. */
export function oneOf<T extends string>(...choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((c) => c === text);
    if (found === undefined)
      throw new InvalidArgumentError(`Expected ${choices.slice(0, -1).join(", ")} or ${choices.at(-1)!}.`);
    return found;
  };
}

/** A whole number within bounds, both included. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const n = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(n >= min && n <= max)) throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    return n;
  };
}

/** A number within bounds, both included. */
export function number(min: number, max: number): (text: string) => number {
  return (text) => {
    const n = text.trim() === "" ? Number.NaN : Number(text);
    if (!(n >= min && n <= max)) throw new InvalidArgumentError(`Expected a number from ${min} to ${max}.`);
    return n;
  };
}
