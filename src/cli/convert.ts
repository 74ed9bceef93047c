// kineograph convert: a checkpoint in another form, written whole or not at all.

import { existsSync, readdirSync, statSync } from "node:fs";
import { resolve, sep } from "node:path";
import { writeFolder, type FolderFile } from "../io/folder-output.js";
import { checkWritable, writeAtomically } from "../io/output.js";
import { streamSafetensors } from "../io/safetensors-writer.js";
import type { ConvertedFile, Naming } from "../pipelines/convert-parts.js";
import type { DTypeChoice } from "../pipelines/convert-tensors.js";
import { planConversion } from "../pipelines/convert.js";
import { UsageError } from "./failure.js";
import { bytes, elapsed } from "./format.js";
import { interruptible } from "./interrupt.js";
import { openPath } from "./sources.js";
import { Terminal } from "./terminal.js";

export interface ConvertArguments {
  readonly dtype?: DTypeChoice;
  readonly names?: Naming;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function convert(from: string, to: string, a: ConvertArguments): Promise<void> {
  const form = formOf(to);
  checkPlace(from, to, form, a.force === true);
  if (form === "file") await checkWritable(to);
  const terminal = new Terminal({ quiet: a.quiet });
  const start = performance.now();
  await interruptible(async (signal) => {
    const fetching = { terminal, signal, half: a.dtype === "f16" };
    const conversion = await planConversion(await openPath(from, "convert", fetching), {
      to: form,
      ...(a.names && { names: a.names }),
      ...(a.dtype && { dtype: a.dtype }),
    });
    try {
      let done = 0;
      const stream = async function* (file: ConvertedFile): AsyncGenerator<Uint8Array> {
        for await (const piece of contents(file)) {
          yield piece;
          done += piece.length;
          terminal.progress("convert", done / conversion.bytes, `${bytes(done)} of ${bytes(conversion.bytes)}`);
        }
      };
      if (form === "folder")
        await writeFolder(
          to,
          conversion.files.map((f): FolderFile => ({ path: f.path, data: () => stream(f) })),
          { signal, replace: a.force === true },
        );
      else for (const file of conversion.files) await writeAtomically(to, stream(file), { signal });
    } finally {
      await conversion.close();
    }
    const seconds = elapsed(start);
    if (a.json) {
      const { description, notes, files } = conversion;
      const written = files.map((f) => f.path).filter((p) => p !== "");
      console.log(
        JSON.stringify({ output: to, description, files: written, bytes: conversion.bytes, seconds, warnings: notes }),
      );
      return;
    }
    terminal.done("convert", seconds, `${conversion.description}, ${bytes(conversion.bytes)}`);
    for (const note of conversion.notes) terminal.say(`note: ${note}`);
    console.log(to);
  });
}

function formOf(to: string): "folder" | "file" {
  if (/\.safetensors$/i.test(to)) return "file";
  const suffix = /\.(ckpt|pt|pth|bin|json|gguf|onnx)$/i.exec(to)?.[0];
  if (suffix !== undefined)
    throw new UsageError(`${suffix} is not written: end the path with .safetensors, or name a folder`);
  return "folder";
}

/** Refuses what would destroy something. */
function checkPlace(from: string, to: string, form: "folder" | "file", force: boolean): void {
  const [source, target] = [resolve(from), resolve(to)];
  if (source === target || source.startsWith(target + sep) || target.startsWith(source + sep))
    throw new UsageError(`${to} is, holds or lies in what is read; write somewhere else`);
  if (!existsSync(target)) return;
  const isFolder = statSync(target).isDirectory();
  if (form === "file" && isFolder) throw new UsageError(`${to} is a folder; name a file`);
  if (form === "folder" && !isFolder)
    throw new UsageError(`${to} is a file; name a folder, or a file that ends in .safetensors`);
  const inside = isFolder ? readdirSync(target) : [];
  if (isFolder && inside.length === 0) return;
  if (!force) throw new UsageError(`${to} is there already; --force replaces it`);
  if (isFolder && !inside.includes("model_index.json") && !inside.includes("config.json"))
    throw new UsageError(
      `${to} is a folder, but none of a model (no model_index.json, no config.json): it is not replaced`,
    );
}

async function* contents(file: ConvertedFile): AsyncGenerator<Uint8Array> {
  if ("text" in file) yield new TextEncoder().encode(file.text);
  else yield* streamSafetensors(file.tensors, file.metadata);
}
