import { describe, expect, it } from "vitest";
import { climb, stepLine } from "../../bench/course/ladder.js";
import { LADDERS, ladderOn, type LadderName } from "../../bench/course/ladders.js";
import { stalePages } from "../../bench/course/pages.js";
import { Device } from "../../src/gpu/device.js";
import { testDevice } from "../support/device.js";

describe("the course", () => {
  it("is what the code says: after a change, `npm run course -- --pages` makes its pages again", () => {
    expect(stalePages()).toEqual([]);
  });

  it.each(Object.keys(LADDERS) as LadderName[])("climbs %s: every step computes what the first does", async (name) => {
    const device = await testDevice();
    const used = device.memory.used;
    const { ladder, dispose } = ladderOn(device, name, true);
    const seen: string[] = [];
    const results = await climb(device, ladder, (m) => seen.push(m.title), 1);
    dispose();
    expect(seen).toEqual(ladder.steps.map((s) => s.title));
    expect(results.filter((r) => r.ms !== undefined).length).toBeGreaterThan(1);
    expect(results.every((r) => (r.ms ?? 0) > 0 || (r.lacks ?? "") !== "")).toBe(true);
    expect(device.memory.used).toBe(used);
  });

  it("refuses a step that computes something else", async () => {
    const device = await testDevice();
    const { ladder, dispose } = ladderOn(device, "matmul", true);
    const [first, second] = ladder.steps;
    const wrong = {
      ...ladder,
      steps: [first!, { ...second!, run: () => device.scope(() => first!.run().reshape([4096])) }],
    };
    await expect(climb(device, wrong)).resolves.toHaveLength(2);
    const other = ladderOn(device, "group-norm", true);
    await expect(climb(device, { ...ladder, steps: [first!, other.ladder.steps[0]!] })).rejects.toThrow(
      'course matmul, step "Plain: a thread a group": relative L2 distance NaN',
    );
    other.dispose();
    dispose();
  });

  it("prints what a step takes and gains", () => {
    using device = Device.dry();
    const { ladder, dispose } = ladderOn(device, "matmul", true);
    const results = [
      { title: "Plain", ms: 10 },
      { title: "Skipped", lacks: "wants a thing" },
      { title: "Fast", ms: 2 },
    ];
    expect(stepLine(ladder, results, 0)).toMatch(/^1\. Plain +10\.0 ms +0\.05 GFLOPS$/);
    expect(stepLine(ladder, results, 1)).toMatch(/^2\. Skipped +\(wants a thing\)$/);
    expect(stepLine(ladder, results, 2)).toContain("5.0× the step before, 5.0× the first");
    dispose();
  });
});
