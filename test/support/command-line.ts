// Runs the command line in this process: what it prints, its exit status, and its message where it fails.

import { vi } from "vitest";
import { messageOf, statusOf } from "../../src/cli/failure.js";
import { program } from "../../src/cli/program.js";
import { fixturePath } from "./fixtures.js";

export interface Called {
  readonly status: number;
  readonly message: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** `kineograph <words>`. */
export async function callCommandLine(...words: readonly string[]): Promise<Called> {
  let [stdout, stderr] = ["", ""];
  const log = vi.spyOn(console, "log").mockImplementation((text: string) => void (stdout += `${text}\n`));
  const write = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  const main = program();
  for (const c of [main, ...main.commands]) c.configureOutput({ writeErr: (text) => (stderr += text) });
  try {
    await main.parseAsync(words, { from: "user" });
    return { status: 0, message: "", stdout, stderr };
  } catch (error) {
    return { status: statusOf(error), message: messageOf(error, false) ?? stderr, stdout, stderr };
  } finally {
    log.mockRestore();
    write.mockRestore();
  }
}

/** The words of a tiny run in f32, which takes a moment. */
export function tinyRun(frames: number, size: string, steps: number): readonly string[] {
  const model = fixturePath("tiny-a");
  return ["--model", model, "--frames", `${frames}`, "--size", size, "--steps", `${steps}`, "--precision", "f32"];
}
