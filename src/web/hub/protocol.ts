// What the page and the hub's worker say to each other. That worker alone speaks to the Hugging Face Hub, is started when the
// user asks for it, and knows nothing of what is in the files.

import type { HubFile } from "../../io/hub-list.js";
import type { ImportEvent } from "../desk/protocol.js";
import type { Call } from "../rpc.js";
import type { Description } from "../store/describe.js";
import type { HubOrigin } from "../store/journal.js";
import type { Manifest } from "../store/read.js";

/** How the hub is reached. */
export interface Access {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** Sent to the endpoint alone, not to where it redirects; kept nowhere. */
  readonly token: string | undefined;
}

export interface LookUp extends Access {
  /** As typed. */
  readonly text: string;
  /** Prefer weights marked fp16: half the bytes. */
  readonly half: boolean;
}

/** What a name comes to. */
export interface HubPlan {
  readonly hub: HubOrigin;
  /** What the model will be called. */
  readonly title: string;
  readonly form: Manifest["form"];
  /** To be downloaded, by their paths in the repository; none where several could be meant. */
  readonly files: readonly HubFile[];
  readonly bytes: number;
  /** Weight files that the name could be meant for instead. */
  readonly others: readonly HubFile[];
}

export interface HubCalls {
  /** Asks the hub what a name comes to; downloads nothing. */
  lookUp: Call<LookUp, HubPlan>;
  /** What it is, by its files' headers; undefined where they cannot be read apart from the files. */
  describe: Call<Access & { readonly plan: HubPlan }, Description | undefined>;
  /** Downloads it, or the rest of it; answers the import's id, whose files are all there and verified. */
  fetch: Call<Access & { readonly plan: HubPlan }, string, ImportEvent>;
  /** Goes on with an import that was cut off. */
  goOn: Call<Access & { readonly id: string }, string, ImportEvent>;
}
