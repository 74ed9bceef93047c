// Files of the Hugging Face Hub on this machine's disk, in the cache folder and layout that huggingface_hub, diffusers and
// others share (blobs by checksum, snapshots of links; https://huggingface.co/docs/hub/local-cache): what is there is found,
// what is missing is fetched. Node only.

import { mkdir, readFile, readdir, rename, rm, stat, statfs, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { download } from "./download.js";
import { CheckpointError, messageOf } from "./errors.js";
import { plainPath } from "./folder.js";
import { COMMIT, fileUrl, HUB, listRepo, type HubFile, type HubListing } from "./hub-list.js";
import { hubNameText, neededFiles, type HubName, type HubUse } from "./hub-names.js";
import { COMMAND_LINE, diskSink } from "./node-download.js";

/** How the hub is reached; everything has the defaults of huggingface_hub, taken from the environment. */
export interface HubOptions {
  /** HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub. */
  readonly cacheFolder?: string;
  /** HF_ENDPOINT. */
  readonly endpoint?: string;
  /** HF_TOKEN, else the file that `hf auth login` writes. */
  readonly token?: string;
  /** HF_HUB_OFFLINE: only what the cache has. */
  readonly offline?: boolean;
  /** Prefer weights marked fp16: half the bytes. */
  readonly half?: boolean;
  readonly onProgress?: (p: HubProgress) => void;
  /** Something went on in another way than asked; one sentence. */
  readonly onWarning?: (text: string) => void;
  /** Milliseconds before a failed request is tried again, doubled each time; default 500. */
  readonly pause?: number;
  /** Stops a download; it goes on from there the next time. */
  readonly signal?: AbortSignal;
}

/** How far fetching is, over all files of a name. */
export interface HubProgress {
  readonly file: string;
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/**
 * The path on this disk of what `name` names, with every file that `use` needs; missing ones are downloaded and verified.
 * @throws CheckpointError naming the repository or file, what was expected and the cure
 */
export async function hubPath(name: HubName, use: HubUse, options: HubOptions = {}): Promise<string> {
  const hub = settings(options);
  const storage = join(hub.cacheFolder, `models--${name.repo.replace("/", "--")}`);
  const found = hub.offline ? await cached(name, storage, "HF_HUB_OFFLINE is set") : await listed(name, storage, hub);
  const snapshot = join(storage, "snapshots", found.commit);
  const there = new Set(await filesIn(snapshot));
  const paths = found.files.map((f) => f.path);
  const needed = neededFiles(name, use, paths, { half: hub.half, have: (path) => there.has(path) });
  const missing = found.files.filter((f) => needed.files.includes(f.path) && !there.has(f.path));
  if (missing.length > 0) await fetchAll(name, storage, found.commit, missing, hub);
  return join(snapshot, needed.at);
}

/** The cure where the cache cannot be written. */
const ANOTHER_PLACE = "set HF_HUB_CACHE to a folder of yours";

type Settings = Required<Pick<HubOptions, "cacheFolder" | "endpoint" | "offline" | "half" | "pause">> &
  Pick<HubOptions, "onProgress" | "onWarning" | "signal"> & { readonly token: Promise<string | undefined> };

function settings(o: HubOptions): Settings {
  const { env } = process;
  const home = env["HF_HOME"] ?? join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "huggingface");
  return {
    cacheFolder: o.cacheFolder ?? env["HF_HUB_CACHE"] ?? env["HUGGINGFACE_HUB_CACHE"] ?? join(home, "hub"),
    endpoint: (o.endpoint ?? env["HF_ENDPOINT"] ?? HUB).replace(/\/+$/, ""),
    offline: o.offline ?? /^(1|on|yes|true)$/i.test(env["HF_HUB_OFFLINE"] ?? ""),
    half: o.half ?? false,
    pause: o.pause ?? 500,
    token: token(o.token ?? env["HF_TOKEN"], env["HF_TOKEN_PATH"] ?? join(home, "token")),
    ...(o.onProgress && { onProgress: o.onProgress }),
    ...(o.onWarning && { onWarning: o.onWarning }),
    ...(o.signal && { signal: o.signal }),
  };
}

async function token(given: string | undefined, file: string): Promise<string | undefined> {
  const text = given ?? (await readFile(file, "utf8").catch(() => ""));
  return text.trim() === "" ? undefined : text.trim();
}

/** What the hub has; where it cannot be reached, or what it has cannot be kept, what the cache has. */
async function listed(name: HubName, storage: string, hub: Settings): Promise<HubListing> {
  const { endpoint, signal } = hub;
  const fromCache = async (why: string, cure?: string): Promise<HubListing> => {
    const found = await cached(name, storage, why, cure);
    hub.onWarning?.(`${why}; using the files of ${hubNameText(name)} that are on this disk`);
    return found;
  };
  let found: HubListing;
  try {
    found = await listRepo(name, { endpoint, token: await hub.token, signal, cures: COMMAND_LINE });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof CheckpointError) throw error;
    return fromCache(`${endpoint} cannot be reached (${reason(error)})`);
  }
  try {
    await keepReference(storage, name.revision, found.commit);
  } catch (error) {
    // Others may have filled a cache that is only read here.
    const there = await filesIn(join(storage, "snapshots", found.commit));
    if (there.length === 0) return fromCache(`${storage} cannot be written (${messageOf(error)})`, ANOTHER_PLACE);
  }
  return found;
}

/** undici's "fetch failed" says nothing; its cause does. */
function reason(error: unknown): string {
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}

/** What the cache has of a revision. */
async function cached(
  name: HubName,
  storage: string,
  why: string,
  cure = "fetch it once while online",
): Promise<HubListing> {
  const { revision } = name;
  const commit = COMMIT.test(revision)
    ? revision
    : (await readFile(join(storage, "refs", revision), "utf8").catch(() => "")).trim();
  const paths = COMMIT.test(commit) ? await filesIn(join(storage, "snapshots", commit)) : [];
  if (paths.length === 0)
    throw new CheckpointError(`${hubNameText(name)} is not in the cache on this disk, and ${why}; ${cure}`);
  return { commit, files: paths.map((path) => ({ path, size: 0, checksum: "" })) };
}

/** Paths of a snapshot whose blobs are there. */
async function filesIn(snapshot: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir(join(snapshot, below)).catch(() => [])) {
    const path = below === "" ? name : `${below}/${name}`;
    const entry = await stat(join(snapshot, path)).catch(() => undefined);
    if (entry?.isFile()) found.push(path);
    else if (entry?.isDirectory()) found.push(...(await filesIn(snapshot, path)));
  }
  return found;
}

async function fetchAll(name: HubName, storage: string, commit: string, files: readonly HubFile[], hub: Settings) {
  const text = hubNameText(name);
  const blobs = join(storage, "blobs");
  await mkdir(blobs, { recursive: true }).catch((error: unknown) => {
    throw new CheckpointError(`${blobs} cannot be made: ${messageOf(error)}; ${ANOTHER_PLACE}`);
  });
  const sizes = await Promise.all(
    files.map(async (f) => {
      const whole = await stat(join(blobs, f.checksum)).catch(() => undefined);
      const part = await stat(join(blobs, `${f.checksum}.incomplete`)).catch(() => undefined);
      return { total: f.size, done: whole?.size === f.size ? f.size : Math.min(part?.size ?? 0, f.size) };
    }),
  );
  const totalBytes = sizes.reduce((n, s) => n + s.total, 0);
  const wanted = totalBytes - sizes.reduce((n, s) => n + s.done, 0);
  const { bavail, bsize } = await statfs(blobs);
  if (wanted > bavail * bsize)
    throw new CheckpointError(
      `${text} needs ${gigabytes(wanted)} more on the disk of ${blobs}, which has ${gigabytes(bavail * bsize)} free; free some or set HF_HUB_CACHE to another disk`,
    );
  const accessToken = await hub.token;
  let before = 0;
  for (const file of files) {
    const pointer = join(storage, "snapshots", commit, file.path);
    const blob = join(blobs, file.checksum);
    const present = await stat(blob).catch(() => undefined);
    if (present?.size !== file.size) {
      const incomplete = `${blob}.incomplete`;
      await download(
        {
          url: fileUrl(hub.endpoint, name.repo, commit, file.path),
          label: hubNameText({ ...name, path: file.path }),
          endpoint: hub.endpoint,
          size: file.size,
          checksum: file.checksum,
          token: accessToken,
          pause: hub.pause,
          signal: hub.signal,
          cures: COMMAND_LINE,
          onBytes: (n) => hub.onProgress?.({ file: file.path, loadedBytes: before + n, totalBytes }),
        },
        diskSink(incomplete, hub.signal),
      );
      // Another process may have been faster with the same bytes.
      await rename(incomplete, blob).catch(async (error: unknown) => {
        if ((await stat(blob).catch(() => undefined))?.size !== file.size) throw error;
      });
    }
    before += file.size;
    await link(blob, pointer);
  }
}

/** A relative link, so that the cache can be moved; a second name of the same file where links are not allowed (Windows). */
async function link(blob: string, pointer: string): Promise<void> {
  await mkdir(dirname(pointer), { recursive: true });
  await rm(pointer, { force: true });
  await symlink(relative(dirname(pointer), blob), pointer).catch(async () => rename(blob, pointer));
}

async function keepReference(storage: string, revision: string, commit: string): Promise<void> {
  if (COMMIT.test(revision)) return;
  const file = join(storage, "refs", ...plainPath("refs", revision).split("/"));
  await mkdir(dirname(file), { recursive: true });
  if ((await readFile(file, "utf8").catch(() => "")) !== commit) await writeFile(file, commit);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(bytes < 1e9 ? 3 : 1)} GB`;
}
