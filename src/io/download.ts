// One file from a web server to wherever it is kept: goes on where it stopped, tries again when the line is cut, and keeps
// nothing whose checksum is wrong. Where the bytes go is a Sink's business: a disk (node-download.ts), a browser's storage.

import { CheckpointError, messageOf } from "./errors.js";

/** How messages name the cures, which differ between a command line and a page. */
export interface Cures {
  /** As in "…; run the command again, it goes on from there". */
  readonly again: string;
  /** As in "if it is private or gated, set HF_TOKEN". */
  readonly giveToken: string;
  /** As in "the token in HF_TOKEN does not open it". */
  readonly givenToken: string;
}

/** What to fetch. */
export interface Download {
  readonly url: string;
  /** What messages call it. */
  readonly label: string;
  readonly endpoint: string;
  readonly size: number;
  /** sha256 of the content (64 digits), or git's sha1 of it as a blob (40). */
  readonly checksum: string;
  readonly token: string | undefined;
  /** Milliseconds before a failed request is tried again, doubled each time. */
  readonly pause: number;
  readonly signal: AbortSignal | undefined;
  readonly cures: Cures;
  readonly onBytes: (done: number) => void;
}

/** The unfinished file: what is there is taken as the beginning. */
export interface Sink {
  /** Bytes that are there; 0 for no file. */
  size(): Promise<number>;
  /** Makes the file where there is none; `anew`: drops what is there. */
  open(anew: boolean): Promise<Writer>;
  /** sha256 of the content, or (`git`) git's sha1 of it as a blob; hexadecimal. */
  checksum(git: boolean): Promise<string>;
  remove(): Promise<void>;
}

export interface Writer {
  write(bytes: Uint8Array, at: number): Promise<void>;
  close(): Promise<void>;
}

/** Tries in a row without a byte of progress. */
const ATTEMPTS = 5;
/** A line is taken for dead after so many milliseconds of silence. */
const SILENCE = 60_000;
const LONGEST_WAIT = 60_000;

/** Resolves when the file is whole and verified. @throws CheckpointError, or the signal's reason: the beginning stays there */
export async function download(d: Download, sink: Sink): Promise<void> {
  for (let corrupt = 0; ; corrupt++) {
    await fetchBytes(d, sink);
    if ((await sink.checksum(d.checksum.length === 40)) === d.checksum) return;
    await sink.remove();
    if (corrupt > 0)
      throw new CheckpointError(
        `${d.label} arrived damaged twice (its checksum is wrong); something between here and ${d.endpoint} changes files`,
      );
  }
}

async function fetchBytes(d: Download, sink: Sink): Promise<void> {
  let failures = 0;
  for (;;) {
    d.signal?.throwIfAborted();
    const have = await sink.size();
    const start = have <= d.size ? have : 0;
    if (start === d.size && (d.size > 0 || have === 0)) {
      if (d.size === 0) await (await sink.open(true)).close();
      return;
    }
    let wait = 0;
    try {
      wait = await attempt(d, sink, start);
    } catch (error) {
      d.signal?.throwIfAborted();
      // A full disk is not mended by asking again.
      if (error instanceof CheckpointError || (error as Error).name === "QuotaExceededError") throw error;
      if (failures >= ATTEMPTS)
        throw new CheckpointError(
          `${d.label}: the download stopped at ${await sink.size()} of ${d.size} bytes (${messageOf(error)}); ${d.cures.again}, it goes on from there`,
          { cause: error },
        );
    }
    failures = (await sink.size()) > start ? 0 : failures + 1;
    if (failures > ATTEMPTS)
      throw new CheckpointError(
        `${d.label}: the server gave nothing ${failures} times in a row; ${d.cures.again} later, it goes on from there`,
      );
    if (failures > 0) await sleep(Math.max(wait, d.pause * 2 ** (failures - 1)), d.signal);
  }
}

/** One request from byte `start`; resolves to the milliseconds that the server asks to wait. */
async function attempt(d: Download, sink: Sink, start: number): Promise<number> {
  const silent = new AbortController();
  const watch = () => setTimeout(() => silent.abort(new Error(`no byte in ${SILENCE / 1000} s`)), SILENCE);
  let timer = watch();
  try {
    const response = await fetch(d.url, {
      headers: {
        ...(d.token !== undefined && { Authorization: `Bearer ${d.token}` }),
        ...(start > 0 && { Range: `bytes=${start}-` }),
      },
      cache: "no-store",
      signal: d.signal ? AbortSignal.any([d.signal, silent.signal]) : silent.signal,
    });
    const from = checkResponse(d, response, start);
    if (typeof from !== "number") {
      await response.body?.cancel();
      return from.wait;
    }
    const file = await sink.open(from === 0);
    try {
      let at = from;
      const reader = response.body?.getReader();
      for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
        const chunk = part.value;
        clearTimeout(timer);
        timer = watch();
        at += chunk.byteLength;
        if (at > d.size) throw new CheckpointError(longer(d, at));
        await file.write(chunk, at - chunk.byteLength);
        d.onBytes(at);
      }
    } finally {
      await file.close();
    }
    return 0;
  } finally {
    clearTimeout(timer);
  }
}

/** The byte at which the body begins, or how long to wait before the next try. */
function checkResponse(d: Download, response: Response, start: number): number | { readonly wait: number } {
  const { status, headers } = response;
  if (status === 429 || status >= 500) {
    const after = Number(headers.get("retry-after") ?? 0) * 1000;
    return { wait: Math.min(Number.isFinite(after) ? after : 0, LONGEST_WAIT) };
  }
  if (!response.ok) throw explainStatus(d.label, d.endpoint, status, d.token, d.cures);
  // A page sees this header only where the server lets it; what came is then what was asked for, or its checksum is wrong.
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
  // A body that is compressed on the way has another length.
  const length = headers.has("content-encoding") ? null : headers.get("content-length");
  const stated = total ?? (status === 200 ? length : null);
  if (stated !== null && stated !== undefined && Number(stated) !== d.size)
    throw new CheckpointError(longer(d, Number(stated)));
  if (status === 206 && Number(first ?? start) !== start)
    throw new CheckpointError(
      `${d.label}: the server sends from byte ${first} where ${start} was asked for; try again`,
    );
  return status === 206 ? start : 0;
}

function longer(d: Download, found: number): string {
  return `${d.label}: the server sends ${found} bytes where its list says ${d.size}; the file may just have been replaced: try again`;
}

/** What an answer of the hub means. */
export function explainStatus(
  label: string,
  endpoint: string,
  status: number,
  token: string | undefined,
  { giveToken, givenToken }: Cures,
): CheckpointError {
  const [, repo = ""] = /^hf:([^/]+\/[^/@]+)/.exec(label) ?? [];
  const page = `${endpoint}/${repo}`;
  const known =
    status === 401 || status === 404
      ? `${label} is not there, or not public${token === undefined ? `; if it is private or gated, ${giveToken}` : `, and ${givenToken} does not open it`}; see ${page}`
      : status === 403
        ? `${label} is gated: accept its conditions at ${page}${token === undefined ? ` and ${giveToken}` : " with the account of your token"}`
        : status === 429
          ? `${endpoint} asks to slow down (429); wait a few minutes${token === undefined ? `, or ${giveToken} for a higher limit` : ""}`
          : `${endpoint} answered ${status} for ${label}; try again later`;
  return new CheckpointError(known);
}

function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
