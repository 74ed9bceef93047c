// Streams whose reader goes away, or is slow.

import { Writable } from "node:stream";
import { expect, it } from "vitest";
import { flushed, outlive } from "../../src/cli/streams.js";

it("a reader that went away ends neither the work nor its end", async () => {
  const stream = new Writable({
    write: (_, __, done) => setImmediate(() => done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }))),
  });
  outlive(stream);
  stream.write("step 1\n"); // unhandled, its error would end the process
  await flushed(stream);
  stream.write("step 2\n");
  await flushed(stream);
});

it("a slow reader is waited for", async () => {
  const read: string[] = [];
  const stream = new Writable({
    write(text, _, done) {
      setImmediate(() => {
        read.push(String(text));
        done();
      });
    },
  });
  stream.write("a");
  stream.write("b");
  await flushed(stream);
  expect(read.join("")).toBe("ab");
});
