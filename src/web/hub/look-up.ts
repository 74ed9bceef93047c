// What a name on the Hugging Face Hub comes to: which files, how large. By the command line's rules (src/io/hub-names.ts).

import type { Cures } from "../../io/download.js";
import { CheckpointError, messageOf } from "../../io/errors.js";
import { listRepo } from "../../io/hub-list.js";
import { hubNameText, neededFiles, parseHubName, type HubName } from "../../io/hub-names.js";
import type { Access, HubPlan, LookUp } from "./protocol.js";

/** What helps on the page. */
export const PAGE: Cures = {
  again: "press Go on",
  giveToken: "give a token",
  givenToken: "the token that was given",
};

const WEIGHTS = /\.(safetensors|ckpt|pt|pth|bin)$/;

/** A name as people have it at hand: with or without hf:, a short one, or a page's address. @throws CheckpointError for another */
export function readName(text: string): HubName {
  const typed = text.trim();
  const [, repo, revision, path] =
    /^https?:\/\/[^/]+\/([^/?#]+\/[^/?#]+)(?:\/(?:tree|blob|resolve)\/([^/?#]+)(?:\/([^?#]+))?)?\/?(?:[?#].*)?$/.exec(
      typed,
    ) ?? [];
  const name =
    repo === undefined
      ? (parseHubName(typed) ?? parseHubName(`hf:${typed}`))
      : parseHubName(
          `hf:${repo}${revision === undefined ? "" : `@${revision}`}${path === undefined ? "" : `/${path}`}`,
        );
  return name!;
}

export async function lookUp({ text, half, endpoint, token }: LookUp, signal: AbortSignal): Promise<HubPlan> {
  const name = readName(text);
  const listing = await listRepo(name, { endpoint, token, signal, cures: PAGE }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error instanceof CheckpointError ? error : unreachable(endpoint, error);
  });
  const paths = listing.files.map((f) => f.path);
  const weights = listing.files.filter((f) => WEIGHTS.test(f.path));
  const plan = (needed: readonly string[], at: string): HubPlan => {
    const files = listing.files.filter((f) => needed.includes(f.path));
    const single = files.length === 1 && files[0]!.path === at;
    const folder = single ? at.split("/").slice(0, -1).join("/") : at;
    return {
      hub: { name: hubNameText(name), repo: name.repo, commit: listing.commit, folder, endpoint },
      title: (single ? at : at === "" ? name.repo : `${name.repo}/${at}`).split("/").at(-1)!,
      form: single ? "file" : "folder",
      files,
      bytes: files.reduce((n, f) => n + f.size, 0),
      others: weights.filter((f) => !needed.includes(f.path)),
    };
  };
  try {
    const inside = name.path === undefined ? "model_index.json" : `${name.path}/model_index.json`;
    if (name.path !== undefined && paths.includes(name.path) && !WEIGHTS.test(name.path))
      throw new CheckpointError(
        `${hubNameText(name)} is no checkpoint: expected a .safetensors, .ckpt, .pt or .bin file, a folder or a whole repository`,
      );
    const { files, at } = neededFiles(name, paths.includes(inside) ? "model" : "component", paths, { half });
    return plan(files, at);
  } catch (error) {
    // One of several files is meant: the page lets the user choose.
    if (name.path !== undefined || weights.length < 2) throw error;
    return plan([], "");
  }
}

/** What to say where no answer came. */
export function unreachable(endpoint: Access["endpoint"], error: unknown): CheckpointError {
  return new CheckpointError(
    navigator.onLine
      ? `${endpoint} cannot be reached (${messageOf(error)}): it is down, or something between here and there blocks it; try again later`
      : `this machine is offline: ${endpoint} cannot be reached; connect it and try again`,
    { cause: error },
  );
}
