// A web server that speaks as much of the Hugging Face Hub's interface as a download needs: the API of @huggingface/hub for
// listing, small files from the hub itself, large ones by a redirect to a second origin. Can be told to fail.

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export interface HubRepo {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Answers 401 without this token, 403 with another one. */
  readonly token?: string;
}

/** What the next requests for file contents meet, one each. */
export type Fault =
  | { readonly kind: "cut" | "stall"; readonly after: number }
  | { readonly kind: "status"; readonly status: number; readonly retryAfter?: number }
  | { readonly kind: "none" | "corrupt" }
  | { readonly kind: "longer" }
  | { readonly kind: "no ranges" };

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
/** Files from this size on lie on the second origin. */
const LARGE = 1000;

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const gitSha1 = (bytes: Uint8Array) => createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

export class HubServer {
  readonly repos = new Map<string, HubRepo>();
  readonly faults: Fault[] = [];
  /** `method path range authorization` of each request for contents, `storage` for the second origin. */
  readonly log: string[] = [];
  readonly #stalled: ServerResponse[] = [];
  readonly #hub: Server = createServer((q, r) => this.#answer(q, r));
  readonly #storage: Server = createServer((q, r) => this.#store(q, r));

  async start(): Promise<void> {
    for (const s of [this.#hub, this.#storage]) await new Promise<void>((done) => s.listen(0, "127.0.0.1", done));
  }

  stop(): void {
    for (const s of [this.#hub, this.#storage]) {
      s.closeAllConnections();
      s.close();
    }
  }

  /** Cuts the lines that have stalled. */
  cut(): void {
    for (const response of this.#stalled.splice(0)) response.destroy();
  }

  get endpoint(): string {
    return origin(this.#hub);
  }

  #answer(q: IncomingMessage, r: ServerResponse): void {
    if (allowed(q, r)) return;
    const url = new URL(q.url ?? "/", this.endpoint);
    const path = decodeURIComponent(url.pathname);
    const [, api, name = "", kind = "", rest = ""] =
      /^\/(api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/(.+)$/.exec(path) ?? [];
    const repo = this.repos.get(name);
    const given = q.headers.authorization?.replace("Bearer ", "");
    if (!repo) return json(r, 401, { error: "Invalid username or password." });
    if (repo.token !== undefined && given !== repo.token)
      return json(r, given === undefined ? 401 : 403, { error: "Access to this model is restricted." });
    if (api && kind === "revision")
      return ["main", "v1", COMMIT].includes(rest)
        ? json(r, 200, { _id: "1", id: name, sha: COMMIT, private: false, gated: false, downloads: 0, likes: 0 })
        : json(r, 404, { error: "Revision not found" });
    if (api && kind === "tree")
      return json(
        r,
        200,
        [...repo.files].map(([p, bytes]) => entry(p, bytes)),
      );
    const file = /^[^/]+\/(.+)$/.exec(rest)?.[1] ?? "";
    const bytes = repo.files.get(file);
    if (!bytes) return json(r, 404, { error: "Entry not found" });
    this.log.push(`${q.method} ${file} ${q.headers.range ?? ""} ${given ?? ""}`.trimEnd());
    const headers = { "x-repo-commit": COMMIT };
    if (bytes.length < LARGE) return this.#send(q, r, bytes, { ...headers, etag: `"${gitSha1(bytes)}"` });
    r.writeHead(302, {
      ...headers,
      location: `${origin(this.#storage)}/${name}/${file}`,
      "x-linked-size": bytes.length,
      "x-linked-etag": `"${sha256(bytes)}"`,
    }).end();
  }

  #store(q: IncomingMessage, r: ServerResponse): void {
    if (allowed(q, r)) return;
    const [, name = "", file = ""] = /^\/([^/]+\/[^/]+)\/(.+)$/.exec(decodeURIComponent(q.url ?? "")) ?? [];
    this.log.push(`storage ${q.headers.range ?? ""} ${q.headers.authorization ?? ""}`.trimEnd());
    this.#send(q, r, this.repos.get(name)!.files.get(file)!, {});
  }

  #send(q: IncomingMessage, r: ServerResponse, whole: Uint8Array, headers: Record<string, string>): void {
    const fault = this.faults.shift();
    if (fault?.kind === "status") {
      if (fault.retryAfter !== undefined) r.setHeader("retry-after", fault.retryAfter);
      return void r.writeHead(fault.status).end();
    }
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(q.headers.range ?? "") ?? [];
    const start = fault?.kind === "no ranges" ? 0 : Number(first ?? 0);
    const end = last === undefined || last === "" || fault?.kind === "no ranges" ? whole.length : Number(last) + 1;
    let bytes = whole.slice(start, end);
    if (fault?.kind === "corrupt") bytes[0]! ^= 1;
    if (fault?.kind === "longer") bytes = new Uint8Array([...bytes, 0]);
    const ranged = first !== undefined && fault?.kind !== "no ranges";
    r.writeHead(ranged ? 206 : 200, {
      ...headers,
      "content-length": bytes.length,
      ...(ranged && { "content-range": `bytes ${start}-${end - 1}/${whole.length}` }),
    });
    if (q.method === "HEAD") return void r.end();
    if (fault?.kind !== "cut" && fault?.kind !== "stall") return void r.end(bytes);
    r.write(bytes.subarray(0, fault.after), () => {
      if (fault.kind === "cut") setTimeout(() => r.destroy(), 20);
      else this.#stalled.push(r);
    });
  }
}

/** Lets pages of other origins read, as the hub does; answers their question whether they may send a token. */
function allowed(q: IncomingMessage, r: ServerResponse): boolean {
  r.setHeader("access-control-allow-origin", "*");
  if (q.method !== "OPTIONS") return false;
  r.writeHead(204, { "access-control-allow-headers": "authorization, range" }).end();
  return true;
}

function entry(path: string, bytes: Uint8Array) {
  const lfs = bytes.length >= LARGE && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } };
  return { type: "file", path, size: bytes.length, oid: gitSha1(bytes), ...lfs };
}

function json(r: ServerResponse, status: number, body: unknown): void {
  r.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function origin(server: Server): string {
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
}
