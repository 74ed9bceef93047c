// The engine's worker: answers the page's calls.

import "../polyfill.js";
import { Transfer, serve } from "../rpc.js";
import { Engine } from "./engine.js";
import { fitOf, limitsOf } from "./fit.js";
import type { EngineCalls } from "./protocol.js";

/** The page's address, handed over as the worker's name: a worker's own lies deeper. */
const engine = new Engine((globalThis as unknown as { readonly name: string }).name);

serve<EngineCalls>({
  device: async () => (await engine.device()).info,
  load: (request, { emit, signal }) => engine.load(request, emit, signal),
  run: async (request, { emit, signal }) => {
    const result = await engine.run(request, emit, signal);
    return new Transfer(result, [result.frames.rgba.buffer]);
  },
  limits: (choice, { signal }) => limitsOf(engine, choice, signal),
  fit: (request, { signal }) => fitOf(engine, request, signal),
  restart: async () => {
    await engine.restart();
    return undefined;
  },
  source: (label) => Promise.resolve(engine.source(label)),
});
