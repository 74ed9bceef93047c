// A planned download, file by file, into the browser's storage: each goes on from the bytes that are there, is verified against
// the hub's checksum, and is then noted with the store's own checksums.

import { download } from "../../io/download.js";
import { CheckpointError } from "../../io/errors.js";
import { fileUrl } from "../../io/hub-list.js";
import type { ImportEvent } from "../desk/protocol.js";
import { exclusively, Journal, listUnfinished, type Planned } from "../store/journal.js";
import { fileAt } from "../store/read.js";
import { checkRoom, noRoom } from "../store/room.js";
import { PAGE, unreachable } from "./look-up.js";
import type { Access, HubPlan } from "./protocol.js";
import { StorageSink } from "./storage-sink.js";

type Emit = (event: ImportEvent) => void;

/** Between two reports of progress, in milliseconds: bytes come in small parts. */
const INTERVAL = 100;

/** Begins a download, or goes on with the same one. @returns the import's id */
export async function fetchPlan(
  { plan, ...access }: Access & { readonly plan: HubPlan },
  emit: Emit,
  signal: AbortSignal,
): Promise<string> {
  const { hub, title: name, form } = plan;
  const below = hub.folder === "" ? 0 : hub.folder.length + 1;
  const planned: Planned = {
    name,
    form,
    hub,
    files: plan.files.map(({ path, size, checksum }) => ({ path: path.slice(below), size, checksum })),
  };
  // The same files of the same commit: another choice of weights is another import.
  const outline = (p: Planned) => JSON.stringify([p.hub?.repo, p.hub?.commit, p.files]);
  const begun = (await listUnfinished()).find((u) => outline(u) === outline(planned));
  return fetchInto(begun?.id ?? crypto.randomUUID(), planned, access, emit, signal);
}

/** Goes on with a download that was cut off. */
export function goOn(
  { id, ...access }: Access & { readonly id: string },
  emit: Emit,
  signal: AbortSignal,
): Promise<string> {
  return fetchInto(id, undefined, access, emit, signal);
}

async function fetchInto(
  id: string,
  planned: Planned | undefined,
  access: Access,
  emit: Emit,
  signal: AbortSignal,
): Promise<string> {
  const begun = (await listUnfinished()).find((u) => u.id === id);
  const name = planned?.name ?? begun?.name ?? "this download";
  const bytes = (planned?.files ?? begun?.files ?? []).reduce((n, f) => n + f.size, 0);
  await checkRoom(name, bytes - (begun?.doneBytes ?? 0));
  return exclusively(id, name, async () => {
    const journal = await Journal.open(id, planned);
    let news: ImportEvent | undefined;
    const reports = setInterval(() => {
      if (news) emit(news);
      news = undefined;
    }, INTERVAL);
    try {
      const onBytes = (doneBytes: number, checking: boolean) => {
        news = { name, doneBytes, totalBytes: Math.max(1, bytes), checking };
      };
      await fetchFiles(journal, access, onBytes, signal);
      return id;
    } catch (error) {
      if (!(await listUnfinished()).some((u) => u.id === id && u.doneBytes > 0)) await journal.remove();
      signal.throwIfAborted();
      if ((error as Error).name === "QuotaExceededError") throw noRoom(name, bytes, error);
      throw navigator.onLine ? error : unreachable(access.endpoint, error);
    } finally {
      clearInterval(reports);
    }
  });
}

async function fetchFiles(
  journal: Journal,
  { endpoint, token }: Access,
  onBytes: (done: number, checking: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  const { files, hub, name } = journal.planned;
  if (!hub) throw new CheckpointError(`${name} was not downloaded; give its files again`);
  let before = 0;
  for (const [i, { path, size, checksum = "" }] of files.entries()) {
    if (!journal.isWhole(i)) {
      const tell = (done: number, checking: boolean) => onBytes(before + done, checking);
      const inRepo = hub.folder === "" ? path : `${hub.folder}/${path}`;
      const sink = new StorageSink(await fileAt(journal.place, path, true), signal, (done) => tell(done, true));
      await download(
        {
          url: fileUrl(endpoint, hub.repo, hub.commit, inRepo),
          label: `hf:${hub.repo}/${inRepo}`,
          endpoint,
          size,
          checksum,
          token,
          pause: 500,
          signal,
          cures: PAGE,
          onBytes: (done) => tell(done, false),
        },
        sink,
      );
      await journal.add(i, ...sink.chunks);
    }
    before += size;
  }
}
