import { describe, expect, it } from "vitest";
import { memorySource } from "../../src/io/byte-source.js";
import {
  checkResumable,
  choicesOfRun,
  decodeRunState,
  describeRun,
  encodeRunState,
  ResumeError,
} from "../../src/pipelines/run-state.js";

describe("the state of a run", () => {
  const settings = { seed: 7, steps: 4, mask: Uint8Array.of(1, 2) };
  const state = async (choices: Readonly<Record<string, string>>) => ({
    done: 2,
    shape: [1, 1, 1, 4] as const,
    slots: new Map([["sample" as const, Float32Array.of(1, 2, 3, 4)]]),
    generator: Uint8Array.of(9),
    run: await describeRun(settings, { UNet: "ab" }, choices),
  });

  it("carries the kernels that were chosen by measurement, and goes on with the same alone", async () => {
    const choices = { "gemm f16 of some size": "gpu/4" };
    const file = memorySource("run.resume", encodeRunState(await state(choices)));
    const read = await decodeRunState(file);
    expect(choicesOfRun(read)).toEqual(choices);
    expect(() => checkResumable(read, read.run)).not.toThrow();
    const table = await describeRun(settings, { UNet: "ab" }, {});
    expect(() => checkResumable(read, table)).toThrow(
      'its tuning was {"gemm f16 of some size":"gpu/4"}, now it is nothing',
    );
  });

  it("says nothing of kernels where the table chose them all, as states of earlier versions", async () => {
    const { run } = await state({});
    expect(Object.keys(run)).not.toContain("tuning");
    expect(choicesOfRun(await state({}))).toEqual({});
  });

  it("is told from other files", async () => {
    const none = await decodeRunState(memorySource("page.resume", new TextEncoder().encode("<!DOCTYPE html>"))).catch(
      (error: unknown) => error,
    );
    expect(none).toBeInstanceOf(ResumeError);
    expect((none as ResumeError).message).toMatch(
      /^page\.resume.*; give the file that an interrupted run left behind$/,
    );
    const saved = await state({});
    const other = () => checkResumable(saved, { ...saved.run, seed: 8 });
    expect(other).toThrow(ResumeError);
    expect(other).toThrow(
      /^the state to resume is of another run: its seed was 7, now it is 8; give the same options, or start anew without it$/,
    );
  });
});
