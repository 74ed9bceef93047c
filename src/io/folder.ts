// Folders: a model folder wherever it lies, as relative paths with forward slashes. Node's is in node-file.ts.

import { blobSource, fetchSource, memorySource, type ByteSource, type FetchOptions } from "./byte-source.js";
import { CheckpointError, quoted } from "./errors.js";

/** A folder of files. */
export interface Folder {
  readonly name: string;
  /** Paths of all files, relative, with forward slashes. */
  list(): Promise<string[]>;
  /** @throws CheckpointError when there is no such file. */
  open(path: string): Promise<ByteSource>;
  readText(path: string): Promise<string>;
}

/**
 * The path, when it stays inside its folder.
 * @throws CheckpointError for absolute paths, drive letters and `..`: an index file must not reach elsewhere.
 */
export function plainPath(folder: string, path: string): string {
  const parts = path.split("/");
  if (path === "" || /^[a-z]:|\\|\0/i.test(path) || parts.some((p) => p === "" || p === "." || p === ".."))
    throw new CheckpointError(`${folder}: ${quoted(path)} is no path inside this folder`);
  return path;
}

function missing(folder: string, path: string): CheckpointError {
  return new CheckpointError(`${folder}/${path}: no such file`);
}

const utf8 = new TextDecoder();

/** A folder in memory. */
export function memoryFolder(name: string, files: ReadonlyMap<string, Uint8Array | string>): Folder {
  const open = (path: string): ByteSource => {
    const data = files.get(plainPath(name, path));
    if (data === undefined) throw missing(name, path);
    return memorySource(`${name}/${path}`, typeof data === "string" ? new TextEncoder().encode(data) : data);
  };
  return {
    name,
    list: () => Promise.resolve([...files.keys()]),
    open: async (path) => open(path),
    readText: async (path) => {
      const source = open(path);
      return utf8.decode(await source.read(0, source.size));
    },
  };
}

/** What a browser gives for a chosen folder (`<input webkitdirectory>`), or any files. The common first part is the name. */
export function fileListFolder(files: Iterable<File>): Folder {
  const all = [...files].map((file) => ({
    file,
    path: file.webkitRelativePath === "" ? file.name : file.webkitRelativePath,
  }));
  const top = all[0]?.path.split("/")[0];
  const shared = top !== undefined && all.every(({ path }) => path.startsWith(`${top}/`));
  const name = shared ? top : "files";
  const byPath = new Map(all.map(({ file, path }) => [shared ? path.slice(top.length + 1) : path, file]));
  const find = (path: string): File => {
    const file = byPath.get(plainPath(name, path));
    if (!file) throw missing(name, path);
    return file;
  };
  return {
    name,
    list: () => Promise.resolve([...byPath.keys()]),
    open: async (path) => blobSource(find(path), `${name}/${path}`),
    readText: async (path) => find(path).text(),
  };
}

/** Files below an address; a web server lists nothing, so the paths are given. */
export function urlFolder(base: string, paths: readonly string[], options: FetchOptions = {}): Folder {
  const root = base.replace(/\/+$/, "");
  const open = (path: string): Promise<ByteSource> => {
    if (!paths.includes(plainPath(root, path))) throw missing(root, path);
    return fetchSource(`${root}/${path.split("/").map(encodeURIComponent).join("/")}`, options);
  };
  return {
    name: root,
    list: () => Promise.resolve([...paths]),
    open: async (path) => open(path),
    readText: async (path) => {
      const source = await open(path);
      return utf8.decode(await source.read(0, source.size));
    },
  };
}

/** A file that holds a JSON object; `name` is the file's. @throws CheckpointError naming it where it is damaged or holds none */
export async function readJson(
  folder: Folder,
  path: string,
): Promise<{ readonly name: string; readonly json: Readonly<Record<string, unknown>> }> {
  const name = `${folder.name}/${path}`;
  const text = await folder.readText(path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`${name} is not valid JSON: download it again`, { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new CheckpointError(`${name} should be a JSON object`);
  return { name, json: json as Record<string, unknown> };
}

/** The folder `path` inside `folder`. */
export function subfolder(folder: Folder, path: string): Folder {
  const prefix = `${plainPath(folder.name, path)}/`;
  const at = (file: string) => prefix + plainPath(`${folder.name}/${path}`, file);
  return {
    name: `${folder.name}/${path}`,
    list: async () => (await folder.list()).filter((f) => f.startsWith(prefix)).map((f) => f.slice(prefix.length)),
    open: async (file) => folder.open(at(file)),
    readText: async (file) => folder.readText(at(file)),
  };
}
