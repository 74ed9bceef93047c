// The desk's worker: answers the page's calls.

import "../polyfill.js";
import { serve } from "../rpc.js";
import { encode, formats } from "./encode.js";
import type { DeskCalls } from "./protocol.js";
import { addModels } from "../store/add.js";
import { removeModel, usage, verifyModel } from "../store/write.js";

serve<DeskCalls>({
  encode: (request, { signal }) => encode(request, signal),
  formats: (size) => formats(size),
  add: (files, { emit, signal }) => addModels(files, emit, signal),
  usage: () => usage(),
  remove: async (id) => {
    await removeModel(id);
    return undefined;
  },
  verify: (id, { emit, signal }) => verifyModel(id, emit, signal),
});
