// Where a download lies on a disk while it is under way. Node only.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rm, stat } from "node:fs/promises";
import type { Cures, Sink } from "./download.js";

/** What helps on the command line. */
export const COMMAND_LINE: Cures = {
  again: "run the command again",
  giveToken: "set HF_TOKEN",
  givenToken: "the token in HF_TOKEN",
};

/** An unfinished file on a disk. */
export function diskSink(path: string, signal: AbortSignal | undefined): Sink {
  const size = async () => (await stat(path).catch(() => undefined))?.size ?? 0;
  return {
    size,
    async open(anew) {
      const file = await open(path, anew ? "w" : "r+");
      return {
        write: async (bytes, at) => void (await file.write(bytes, 0, bytes.byteLength, at)),
        close: () => file.close(),
      };
    },
    async checksum(git) {
      const hash = createHash(git ? "sha1" : "sha256");
      if (git) hash.update(`blob ${await size()}\0`);
      for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20, ...(signal && { signal }) }))
        hash.update(chunk as Uint8Array);
      return hash.digest("hex");
    },
    remove: () => rm(path, { force: true }),
  };
}
