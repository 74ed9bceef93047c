// kineograph studio: serves the browser studio, as built, on this machine only. Nothing else is served, nothing is fetched;
// each file goes out with the policy that says what it may reach.

import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { pipeline } from "node:stream";
import { fileURLToPath } from "node:url";
import { createGzip } from "node:zlib";
import { UsageError } from "./failure.js";
import { interruptible } from "./interrupt.js";
import { hubFrom, policy, policyOf, type StudioHub } from "./studio-policy.js";

export interface StudioArguments {
  readonly port?: number;
}

/** Where `kineograph studio` listens unless told otherwise. */
export const STUDIO_PORT = 4780;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};
const COMPRESSED = new Set([".html", ".js", ".css", ".json", ".svg", ".txt"]);

/** Folder of the page and of the bundled model, seen from this file as built: dist/src/cli/. */
function builtFolder(): string {
  return fileURLToPath(new URL("../../studio/", import.meta.url));
}

function packageFolder(): string {
  return fileURLToPath(new URL("../../../", import.meta.url));
}

/** A server of the page in `folder`; files of the model that are not there come from `model`. */
export function studioServer(folder: string, model: string, hub: StudioHub = hubFrom({})): Server {
  return createServer((request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(response, 405, "only reading is possible");
    // Another site's page must not read this server by a name of its own that it lets point here.
    const host = (request.headers.host ?? "").replace(/:\d+$/, "");
    if (!["localhost", "127.0.0.1", "[::1]"].includes(host)) return refuse(response, 403, "only for this machine");
    const found = find(folder, model, request.url ?? "/");
    if (found === undefined) return refuse(response, 404, "there is no such file");
    send(request, response, found, hub);
  });
}

function find(folder: string, model: string, url: string): string | undefined {
  let path: string;
  try {
    path = normalize(decodeURIComponent(new URL(url, "http://localhost").pathname));
  } catch {
    return undefined;
  }
  if (path.includes("\0")) return undefined;
  if (path.endsWith(sep)) path += "index.html";
  const prefix = join(sep, "models", "shapes", sep);
  const places = path.startsWith(prefix)
    ? [join(folder, path), join(model, path.slice(prefix.length))]
    : [join(folder, path)];
  return places.find((p) => statSync(p, { throwIfNoEntry: false })?.isFile() === true);
}

function send(request: IncomingMessage, response: ServerResponse, path: string, hub: StudioHub): void {
  const info = statSync(path);
  const suffix = extname(path);
  // Another hub is another page.
  const where = Buffer.from(hub.endpoint).toString("base64url");
  const tag = `"${info.size.toString(36)}-${Math.round(info.mtimeMs).toString(36)}-${where}"`;
  const security = policyOf(path, hub);
  // Names below assets/ change with their contents, but not with the hub that a policy names.
  const lasting = path.includes(`${sep}assets${sep}`) && security === policy();
  const headers: Record<string, string> = {
    "content-type": TYPES[suffix] ?? "application/octet-stream",
    "cache-control": lasting ? "public, max-age=31536000, immutable" : "no-cache",
    etag: tag,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": security,
  };
  if (request.headers["if-none-match"] === tag) {
    response.writeHead(304, headers).end();
    return;
  }
  if (suffix === ".html") {
    // The page learns from it which hub its server lets it reach.
    const html = readFileSync(path, "utf8").replace(
      /(<meta name="kineograph-hub" content=")[^"]*/,
      (_, before: string) => before + hub.endpoint,
    );
    response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : html);
    return;
  }
  const zip = COMPRESSED.has(suffix) && /\bgzip\b/.test(String(request.headers["accept-encoding"]));
  if (zip) headers["content-encoding"] = "gzip";
  else headers["content-length"] = String(info.size);
  response.writeHead(200, headers);
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  // Where either end fails or goes away, all are closed; nobody is left to be told.
  const over = (): void => undefined;
  const file = createReadStream(path);
  if (zip) pipeline(file, createGzip(), response, over);
  else pipeline(file, response, over);
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${why}\n`);
}

/** Starts to listen; resolves with the address. @throws Error where the port is taken */
export function listen(server: Server, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "EADDRINUSE"
          ? new Error(`port ${port} is in use on this machine; choose another with --port, or 0 for any that is free`)
          : error,
      ),
    );
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      resolve(`http://localhost:${typeof address === "object" && address ? address.port : port}/`);
    });
  });
}

export async function studio({ port = STUDIO_PORT }: StudioArguments): Promise<void> {
  const folder = builtFolder();
  if (!existsSync(join(folder, "index.html")))
    throw new UsageError(`the studio is not built: ${folder} has no index.html; run npm run build first`);
  const server = studioServer(folder, join(packageFolder(), "models/shapes"), hubFrom(process.env));
  console.log(`Kineograph Studio: ${await listen(server, port)}`);
  console.error("Open it in a browser with WebGPU (a current Chrome, Edge, Firefox or Safari). Ctrl-C ends it.");
  await interruptible(
    (signal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => {
          server.closeAllConnections();
          server.close(() => resolve());
        });
      }),
  ).catch((error: unknown) => {
    // Ending it is how it is meant to end.
    if (!(error instanceof Error && error.name === "Interrupted")) throw error;
  });
}
