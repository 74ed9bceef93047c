// What a planned download is, read from its files' headers where they lie: kilobytes, so that nobody downloads gigabytes that no
// setting takes.

import { checkRange, type ByteSource } from "../../io/byte-source.js";
import { explainStatus } from "../../io/download.js";
import { CheckpointError } from "../../io/errors.js";
import type { Folder } from "../../io/folder.js";
import { fileUrl, type HubFile } from "../../io/hub-list.js";
import type { Description } from "../store/describe.js";
import { PAGE } from "./look-up.js";
import type { Access, HubPlan } from "./protocol.js";

/** The server sends whole files alone: they are looked at once they are here. */
class NoRanges extends Error {}

/** @returns undefined where the server does not let a part of a file be read @throws Error saying why it is of no use */
export async function describePlan(
  { plan, ...access }: Access & { readonly plan: HubPlan },
  signal: AbortSignal,
): Promise<Description | undefined> {
  const { hub, files, form, title } = plan;
  const { describeFile, describeFolder } = await import("../store/describe.js");
  const below = hub.folder === "" ? "" : `${hub.folder}/`;
  const open = (file: HubFile) => remoteSource(plan, file, access, signal);
  const find = (path: string): ByteSource => {
    const file = files.find((f) => f.path === below + path);
    if (!file) throw new CheckpointError(`${title}/${path}: no such file`);
    return open(file);
  };
  const folder: Folder = {
    name: title,
    list: () => Promise.resolve(files.map((f) => f.path.slice(below.length))),
    open: async (path) => find(path),
    readText: async (path) => {
      const source = find(path);
      return new TextDecoder().decode(await source.read(0, source.size));
    },
  };
  try {
    return await (form === "folder" ? describeFolder(folder) : describeFile(title, () => open(files[0]!)));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NoRanges) return undefined;
    throw error;
  }
}

function remoteSource({ hub }: HubPlan, { path, size }: HubFile, { endpoint, token }: Access, signal: AbortSignal) {
  const label = `hf:${hub.repo}/${path}`;
  const source: ByteSource = {
    name: path.split("/").at(-1)!,
    size,
    async read(offset, length) {
      checkRange(source, offset, length);
      if (length === 0) return new Uint8Array();
      const response = await fetch(fileUrl(endpoint, hub.repo, hub.commit, path), {
        headers: {
          ...(token !== undefined && { Authorization: `Bearer ${token}` }),
          Range: `bytes=${offset}-${offset + length - 1}`,
        },
        cache: "no-store",
        signal,
      });
      if (!response.ok) throw explainStatus(label, endpoint, response.status, token, PAGE);
      if (response.status !== 206) {
        await response.body?.cancel();
        throw new NoRanges();
      }
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (bytes.length !== length) throw new NoRanges();
      return bytes;
    },
  };
  return source;
}
