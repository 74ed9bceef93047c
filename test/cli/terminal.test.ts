// Progress: redrawn on a terminal, plain lines elsewhere, silent when quiet; and numbers as people read them.

import { describe, expect, it } from "vitest";
import { bytes, count, seconds, table } from "../../src/cli/format.js";
import { Interrupted, messageOf, statusOf, UsageError, withNote } from "../../src/cli/failure.js";
import { Terminal } from "../../src/cli/terminal.js";

function capture(isTTY: boolean, quiet = false, columns = 40): { terminal: Terminal; readonly text: () => string } {
  let text = "";
  const terminal = new Terminal({ quiet, stream: { isTTY, columns, write: (t) => (text += t) } });
  return { terminal, text: () => text };
}

function all(terminal: Terminal): void {
  terminal.refresh("denoise", 0.5, "2/4");
  terminal.step("step 2 of 4");
  terminal.done("denoise", 3.21, "4 steps");
  terminal.warn("careful");
  terminal.clear();
}

describe("Terminal", () => {
  it("redraws one line on a terminal, no wider than it, and keeps what is done", () => {
    const { terminal, text } = capture(true);
    all(terminal);
    const drawn = text().split("\u001b[K");
    expect(drawn.every((part) => part.replace("\r", "").length <= 40)).toBe(true);
    expect(text()).toContain("denoise   ████████████░░░░░░░░░░░░");
    expect(text()).not.toContain("step 2 of 4");
    expect(text()).toContain("\r\u001b[Kdenoise      3.2 s  4 steps\n");
    expect(text()).toContain("warning: careful\n");
  });

  it("writes plain lines elsewhere", () => {
    const { terminal, text } = capture(false);
    all(terminal);
    expect(text()).toBe("step 2 of 4\ndenoise      3.2 s  4 steps\nwarning: careful\n");
  });

  it("says nothing but warnings when quiet", () => {
    for (const isTTY of [true, false]) {
      const { terminal, text } = capture(isTTY, true);
      all(terminal);
      expect(text()).toBe("warning: careful\n");
    }
  });

  it("redraws at most 20 times a second, and always the end", () => {
    const { terminal, text } = capture(true);
    for (let i = 0; i <= 1000; i++) terminal.progress("load", i / 1000);
    const pictures = text().split("\r").length - 1;
    expect(pictures).toBeLessThan(20);
    expect(text().endsWith("████████████████████████ ")).toBe(true);
  });
});

describe("format", () => {
  it("writes bytes, counts and times", () => {
    expect([0, 1023, 1024, 1536, 10 * 2 ** 20, 2 ** 30, 5 * 2 ** 40].map(bytes)).toEqual([
      "0 B",
      "1023 B",
      "1.00 KiB",
      "1.50 KiB",
      "10.0 MiB",
      "1.00 GiB",
      "5.00 TiB",
    ]);
    expect([0, 9999, 12345, 857.5e6, 1.5e12, 70.87e12].map(count)).toEqual([
      "0",
      "9999",
      "12.35 k",
      "857.5 M",
      "1.50 T",
      "70.87 T",
    ]);
    expect([0.0004, 0.5, 0.999, 3.21, 59.96, 83].map(seconds)).toEqual([
      "0 ms",
      "500 ms",
      "1.0 s",
      "3.2 s",
      "1 min 0 s",
      "1 min 23 s",
    ]);
  });

  it("aligns tables", () => {
    expect(
      table(
        [
          ["a", "1"],
          ["bcd", "200"],
        ],
        [false, true],
      ),
    ).toBe("a      1\nbcd  200");
  });
});

describe("ends of commands", () => {
  it("has a status for each", () => {
    expect(
      [new UsageError("x"), new Error("x"), new Interrupted("SIGINT"), new Interrupted("SIGTERM"), "x"].map(statusOf),
    ).toEqual([2, 1, 130, 143, 1]);
  });

  it("says one line, and everything when verbose", () => {
    const error = new Error("broken", { cause: new Error("the reason") });
    expect(messageOf(error, false)).toBe("kineograph: broken");
    expect(messageOf(error, true)).toMatch(
      /^kineograph: Error: broken\n {4}at .*\ncaused by: Error: the reason\n {4}at /s,
    );
  });

  it("tells of an error what was noted on the way", () => {
    const error = withNote(new Error("broken"), "Half of it is there");
    expect(messageOf(error, false)).toBe("kineograph: broken. Half of it is there");
    expect(messageOf(error, true)).toMatch(/^kineograph: Error: broken\n {4}at .*\nHalf of it is there$/s);
  });

  it("explains what a disk says", () => {
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    expect(messageOf(full, false)).toBe("kineograph: the disk is full; make room there and start again");
    const denied = Object.assign(new Error("EACCES: permission denied"), { code: "EACCES", path: "/x/y.png" });
    expect(messageOf(denied, false)).toBe(
      "kineograph: no permission for /x/y.png (EACCES); grant it, or choose another place",
    );
  });
});
