// The peers' packages: installed by npm into a folder for temporary files when a comparison is asked for. None of them is
// a dependency.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

/** Versions that the figures in docs/performance.md were taken with. */
const VERSIONS = {
  "onnxruntime-node": "1.30",
  "onnx-proto": "8",
  "@jax-js/jax": "0.1",
  "@tensorflow/tfjs": "4",
  "@tensorflow/tfjs-backend-webgpu": "4",
} as const;

export type PeerPackage = keyof typeof VERSIONS;

/** What loads modules from the folder of peers. */
export interface PeerModules {
  /** A CommonJS module; the caller states the parts it uses. */
  require(name: PeerPackage): unknown;
  /** An ES module. */
  import(name: PeerPackage): Promise<unknown>;
}

/**
 * Installs what is missing of `packages` and returns what loads them.
 * @throws Error where npm cannot install them
 */
export async function peerModules(
  packages: readonly PeerPackage[],
  onMessage?: (message: string) => void,
): Promise<PeerModules> {
  const folder = join(tmpdir(), "kineograph-peers");
  await mkdir(folder, { recursive: true });
  const missing = packages.filter((name) => !existsSync(join(folder, "node_modules", name)));
  if (missing.length > 0) {
    const wanted = missing.map((name) => `${name}@${VERSIONS[name]}`);
    onMessage?.(`installing ${wanted.join(", ")} into ${folder}`);
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    const words = ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    try {
      await promisify(execFile)(npm, [...words, ...wanted], { shell: process.platform === "win32" });
    } catch (cause) {
      throw new Error(`bench --peers: npm could not install ${wanted.join(", ")} into ${folder}`, { cause });
    }
  }
  const require = createRequire(join(folder, "peers.js"));
  return {
    require: (name) => require(name) as unknown,
    import: (name) => import(pathToFileURL(require.resolve(name)).href),
  };
}
