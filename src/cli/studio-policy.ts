// What the studio's page and workers may load and reach (https://developer.mozilla.org/docs/Web/HTTP/CSP): themselves alone.
// The hub's worker, which is started when the user asks for a model by name, may also reach the Hugging Face Hub.

/** Where a studio finds the hub. */
export interface StudioHub {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** Also where it redirects to: sources of a Content-Security-Policy. */
  readonly hosts: readonly string[];
}

const HOSTS = ["https://huggingface.co", "https://*.huggingface.co", "https://*.hf.co"];

/** The hub as HF_ENDPOINT names it, huggingface.co by default. */
export function hubFrom(env: Readonly<Record<string, string | undefined>>): StudioHub {
  const endpoint = (env["HF_ENDPOINT"] ?? "https://huggingface.co").replace(/\/+$/, "");
  return { endpoint, hosts: [...new Set([new URL(endpoint).origin, ...HOSTS])] };
}

/** A Content-Security-Policy; `connect`: what may be reached beside the page's own server. */
export function policy(connect: readonly string[] = []): string {
  return [
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self' blob:",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "style-src 'self' 'unsafe-inline'",
    ["connect-src 'self' blob:", ...connect].join(" "),
  ].join("; ");
}

/** A built file's policy, by its name. */
export function policyOf(path: string, hub: StudioHub): string {
  return policy(/(^|[/\\])hub-worker[^/\\]*\.js$/.test(path) ? hub.hosts : []);
}
