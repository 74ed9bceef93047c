// npm run course [ladder…]           climbs ladders on this machine's adapter, printing each step
// npm run course -- --record         climbs all of them and keeps the figures for the pages
// npm run course -- --pages          assembles docs/course

import { openNodeDevice } from "../../src/node-device.js";
import { climb, stepLine, type Measured } from "./ladder.js";
import { LADDERS, ladderOn, type LadderName } from "./ladders.js";
import { record, writePages } from "./pages.js";

const words = process.argv.slice(2);
const flags = words.filter((w) => w.startsWith("--"));
const all = Object.keys(LADDERS) as LadderName[];
const named = words.filter((w) => !w.startsWith("--"));
const wrong = [...named.filter((n) => !(n in LADDERS)), ...flags.filter((f) => f !== "--record" && f !== "--pages")];
if (wrong.length > 0) {
  console.error(`course: no ladder or option ${wrong.join(", ")}; there are ${all.join(", ")}, --record and --pages`);
  process.exitCode = 2;
} else {
  if (!flags.includes("--pages") || flags.includes("--record")) await climbAll();
  if (flags.length > 0) writePages();
}

async function climbAll(): Promise<void> {
  using device = await openNodeDevice();
  const adapter = device.capabilities.name;
  console.log(adapter);
  const ladders: Record<string, Measured[]> = {};
  const chosen = named.length > 0 && !flags.includes("--record") ? (named as LadderName[]) : all;
  for (const name of chosen) {
    const { ladder, dispose } = ladderOn(device, name);
    try {
      console.log(`\n${ladder.title}: ${ladder.task}`);
      const seen: Measured[] = [];
      ladders[name] = await climb(device, ladder, (m) => {
        seen.push(m);
        console.log(stepLine(ladder, seen, seen.length - 1));
      });
    } finally {
      dispose();
    }
  }
  if (flags.includes("--record")) record({ adapter, ladders });
}
