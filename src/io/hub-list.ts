// What a repository of the Hugging Face Hub holds, asked of its API through @huggingface/hub. For Node and browsers.

import { explainStatus, type Cures } from "./download.js";
import { CheckpointError } from "./errors.js";
import { plainPath } from "./folder.js";
import { hubNameText, type HubName } from "./hub-names.js";

/** A file as the hub lists it. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** sha256 of a large file's content, or git's sha1 of a small one's as a blob. */
  readonly checksum: string;
}

/** A repository at one commit. */
export interface HubListing {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

export interface HubAccess {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly cures: Cures;
}

/** A full commit, as revisions may be given and are always answered. */
export const COMMIT = /^[0-9a-f]{40}$/;
export const HUB = "https://huggingface.co";

/**
 * The files of a repository at a revision.
 * @throws CheckpointError where the hub refuses; `fetch`'s own error where it cannot be reached
 */
export async function listRepo(name: HubName, { endpoint, token, signal, cures }: HubAccess): Promise<HubListing> {
  const api = await import("@huggingface/hub");
  const common = {
    hubUrl: endpoint,
    // The library takes only tokens that begin with "hf_"; mirrors have others.
    fetch: ((input, init) => {
      const headers = new Headers(init?.headers);
      if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
      return fetch(input, { ...init, headers, ...(signal && { signal }) });
    }) as typeof fetch,
  };
  try {
    const { sha } = await api.modelInfo({
      ...common,
      name: name.repo,
      revision: name.revision,
      additionalFields: ["sha"],
    });
    if (!COMMIT.test(sha)) throw new CheckpointError(`${endpoint} gave no commit for ${hubNameText(name)}`);
    const files: HubFile[] = [];
    for await (const { type, path, size, oid, lfs } of api.listFiles({
      ...common,
      repo: name.repo,
      revision: sha,
      recursive: true,
    })) {
      const checksum = lfs?.oid ?? oid ?? "";
      if (type === "file" && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(checksum))
        files.push({ path: plainPath(hubNameText(name), path), size: lfs?.size ?? size, checksum });
    }
    return { commit: sha, files };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof api.HubApiError)
      throw explainStatus(hubNameText({ ...name, path: undefined }), endpoint, error.statusCode, token, cures);
    throw error;
  }
}

/** Where a file of a repository at a commit is fetched from. */
export function fileUrl(endpoint: string, repo: string, commit: string, path: string): string {
  return `${endpoint}/${repo}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}
