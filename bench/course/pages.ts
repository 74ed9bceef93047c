// Assembles the course: the prose of bench/course/pages with the shaders, functions, figures and measurements that it
// names, so that a page cannot say what the code no longer does. A test holds that docs/course is what this makes.
//   <!-- ladder matmul -->             the steps, each by its shader's own header, with its gain
//   <!-- code path.ts#name -->         a function, class or method as it stands
//   <!-- figure matmul -->

import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Device } from "../../src/gpu/device.js";
import { FIGURES } from "./figures.js";
import { root, source, type Ladder, type Measured } from "./ladder.js";
import { ladderOn, type LadderName } from "./ladders.js";

/** What `npm run course -- --record` keeps. */
export interface CourseRecord {
  readonly adapter: string;
  readonly ladders: Readonly<Record<string, readonly Measured[]>>;
}

const TEMPLATES = "bench/course/pages";
const COURSE = "docs/course";
const MEASURED = `${COURSE}/measured.json`;

/** Every file of the course by its path from the root. */
export function coursePages(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const measured = existsSync(join(root(), MEASURED)) ? (JSON.parse(source(MEASURED)) as CourseRecord) : undefined;
  for (const name of readdirSync(join(root(), TEMPLATES)).toSorted()) {
    const page = source(`${TEMPLATES}/${name}`).replace(
      /^<!-- (ladder|code|figure) (\S+) -->$/gm,
      (_, kind: string, what: string) => {
        if (kind === "ladder") return ladderText(what as LadderName, measured);
        if (kind === "code") return codeText(what);
        const draw = FIGURES[what];
        if (!draw) throw new Error(`course page ${name}: there is no figure "${what}"`);
        files.set(`${COURSE}/${what}.svg`, draw());
        return `![${what}](${what}.svg)`;
      },
    );
    files.set(
      `${COURSE}/${name}`,
      `<!-- Made by \`npm run course -- --pages\` from ${TEMPLATES}/${name}; do not edit. -->\n\n${page}`,
    );
  }
  return files;
}

export function writePages(): void {
  for (const [path, words] of coursePages()) writeFileSync(join(root(), path), words);
}

function ladderText(name: LadderName, measured: CourseRecord | undefined): string {
  using device = Device.dry({ kind: "cpu", subgroups: true, subgroupSize: 8 });
  const { ladder, dispose } = ladderOn(device, name);
  try {
    const results = measured?.ladders[name];
    const steps = ladder.steps.map(({ title, files }, i) => {
      const gain = results && gainText(results, i);
      return [
        `### ${i + 1}. ${title}`,
        ...(gain === undefined ? [] : [gain]),
        header(files[0]!),
        ...files.map(listing),
      ].join("\n\n");
    });
    return [summary(ladder, measured), ...steps].join("\n\n");
  } finally {
    dispose();
  }
}

function summary(ladder: Ladder, measured: CourseRecord | undefined): string {
  const live = `\`npm run course ${ladder.name}\` climbs this ladder on your adapter.`;
  const results = measured?.ladders[ladder.name];
  if (!results) return live;
  const rows = results.map(({ title, ms, lacks }, i) =>
    ms === undefined
      ? `| ${i + 1} | ${title} | ${lacks ?? ""} | |`
      : `| ${i + 1} | ${title} | ${ms.toFixed(1)} | ${(results[0]!.ms! / ms).toFixed(1)}× |`,
  );
  return [
    `Computed: ${ladder.task}. ${live} Here it was ${measured!.adapter}:`,
    ["| | step | ms | of the first |", "| --- | --- | --: | --: |", ...rows].join("\n"),
  ].join("\n\n");
}

function gainText(results: readonly Measured[], i: number): string | undefined {
  const { ms, lacks } = results[i]!;
  if (ms === undefined) return `_Not run here: ${lacks}._`;
  const before = results.slice(0, i).findLast((r) => r.ms !== undefined)?.ms;
  if (before === undefined) return undefined;
  const gain = before / ms;
  return gain >= 1
    ? `_${gain.toFixed(1)} times as fast as the step before._`
    : `_Slower than the step before on this adapter: ${(1 / gain).toFixed(1)} times as long._`;
}

/** The comment with which a file begins, as prose. */
function header(path: string): string {
  const lines = source(path).split("\n");
  const words = lines
    .slice(
      0,
      lines.findIndex((l) => !l.startsWith("//")),
    )
    .map((l) => l.replace(/^\/\/ ?/, ""));
  // Indented lines are formulas.
  return words
    .map((l, i) =>
      /^\s/.test(l) ? `\n    ${l.trim()}\n` : words[i - 1] !== undefined && /^\s/.test(words[i - 1]!) ? l : l,
    )
    .join("\n");
}

/** A short module whole, of a long one its main function, behind a fold. */
function listing(path: string): string {
  const words = source(path);
  const language = path.endsWith(".wgsl") ? "wgsl" : "ts";
  const whole = words.split("\n").length <= 130;
  const body = whole || language === "ts" ? words.replace(/^(\/\/.*\n)+\n?/, "") : excerpt(path, "main");
  const shown = language === "ts" ? excerpt(path, "runAttention") : body;
  return `<details><summary><code>${path}</code></summary>\n\n\`\`\`${language}\n${shown.trimEnd()}\n\`\`\`\n\n</details>`;
}

function codeText(what: string): string {
  const [path = "", name = ""] = what.split("#");
  return `From \`${path}\`:\n\n\`\`\`${path.endsWith(".wgsl") ? "wgsl" : "ts"}\n${excerpt(path, name)}\n\`\`\``;
}

/** A declaration with the attributes or comment before it, up to the brace that closes it. */
function excerpt(path: string, name: string): string {
  const lines = source(path).split("\n");
  const declares = new RegExp(
    `^\\s*(@compute.*)?(export )?(async )?(function|class|fn|interface)?\\s*\\*?${name}(\\(|<| \\{)`,
  );
  const at = lines.findIndex((l) => declares.test(l) && !l.trimEnd().endsWith(";"));
  if (at < 0) throw new Error(`course: ${path} declares no ${name}`);
  const indent = /^\s*/.exec(lines[at]!)![0];
  let first = at;
  while (first > 0 && /^\s*(@|\/\*\*|\*|\/\/)/.test(lines[first - 1]!)) first--;
  const last = lines.findIndex((l, i) => i >= at && (l === `${indent}}` || l === `${indent}};`));
  return lines
    .slice(first, last + 1)
    .map((l) => l.slice(indent.length))
    .join("\n");
}

/** Keeps measurements for the pages. */
export function record(measured: CourseRecord): void {
  const json = JSON.stringify(measured, (_, v: unknown) => (typeof v === "number" ? Number(v.toPrecision(4)) : v), 2);
  writeFileSync(join(root(), MEASURED), `${json}\n`);
}

/** Where a page in the repository differs from what it should be. */
export function stalePages(): string[] {
  return [...coursePages()]
    .filter(([path, words]) => !existsSync(join(root(), path)) || readFileSync(join(root(), path), "utf8") !== words)
    .map(([path]) => path);
}
