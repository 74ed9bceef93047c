// The desk's worker: answers the page's calls.

import "../polyfill.js";
import { readRecipe } from "../../index.js";
import { serve, Transfer } from "../rpc.js";
import { decode } from "./decode.js";
import { encode, formats } from "./encode.js";
import type { DeskCalls } from "./protocol.js";
import { addModels, finishImport } from "../store/add.js";
import { removeLeftovers } from "../store/journal.js";
import { removeModel, usage, verifyModel } from "../store/write.js";

serve<DeskCalls>({
  encode: (request, { signal }) => encode(request, signal),
  decode: async (request, { signal }) => {
    const decoded = await decode(request, signal);
    return new Transfer(decoded, [decoded.frames.rgba.buffer]);
  },
  recipe: async ({ blob, name }) =>
    /\.(mp4|webm|mov|mkv)$/i.test(name)
      ? (await import("./video-source.js")).videoRecipe(blob, name)
      : readRecipe(new Uint8Array(await blob.arrayBuffer())),
  formats: (size) => formats(size),
  add: (files, { emit, signal }) => addModels(files, emit, signal),
  finish: (id) => finishImport(id),
  usage: () => usage(),
  tidy: async () => {
    await removeLeftovers();
    return undefined;
  },
  remove: async (id) => {
    await removeModel(id);
    return undefined;
  },
  verify: (id, { emit, signal }) => verifyModel(id, emit, signal),
});
