// PyTorch on the CPU, for information: no WebGPU, other layouts, its own threads. Runs where KINEOGRAPH_PYTHON names a Python
// that has torch (and diffusers, for the whole UNet).

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** What torch_layers.py prints. */
interface TorchTimes {
  readonly version: string;
  readonly threads: number;
  readonly ms: Readonly<Record<string, number>>;
}

/** Medians in milliseconds by case; none, with a note, where there is no such Python or it has no torch. */
export async function torchTimes(
  names: readonly string[],
  python: string | undefined,
  onMessage: (message: string) => void = () => undefined,
): Promise<Readonly<Record<string, number>>> {
  if (python === undefined || python === "") {
    onMessage("PyTorch is left out: KINEOGRAPH_PYTHON names no Python that has torch");
    return {};
  }
  const beside = new URL("torch_layers.py", import.meta.url);
  // In dist/ the script is where the sources are.
  const script = fileURLToPath(
    existsSync(beside) ? beside : new URL("../../../bench/peers/torch_layers.py", import.meta.url),
  );
  try {
    const { stdout } = await promisify(execFile)(python, [script, ...names], { timeout: 600_000 });
    const { version, threads, ms } = JSON.parse(stdout) as TorchTimes;
    onMessage(`PyTorch ${version} on the CPU, ${threads} threads, for information`);
    return ms;
  } catch (error) {
    const { stderr = "", message } = error as Error & { readonly stderr?: string };
    const said = stderr.trim() === "" ? message : stderr;
    onMessage(`PyTorch is left out: ${python}: ${said.trim().split("\n").at(-1)}`);
    return {};
  }
}
