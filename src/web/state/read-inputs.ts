// A run's inputs, read: frames of pictures and videos at its size, by the desk's worker.

import type { Frames, Picture } from "../../index.js";
import type { Control, Likeness, RunRequest } from "../engine/protocol.js";
import type { Settings } from "./defaults.js";
import { decode } from "./desk.js";
import { encoderOf, type Inputs, type Source } from "./inputs.js";
import { controlIn, networkOf } from "./request.js";
import { say } from "./toasts.js";

/** The parts of a request that are pictures. @throws Error where something was not given */
export async function read(
  s: Settings,
  inputs: Inputs,
  stop: AbortSignal,
): Promise<Partial<Pick<RunRequest, "start" | "control" | "likenesses">>> {
  const start = await startOf(s, inputs, stop);
  const control = await controlOf(s, inputs, stop);
  const likenesses = await likenessesOf(s, inputs, stop);
  return { ...(start && { start }), ...(control && { control }), ...(likenesses.length > 0 && { likenesses }) };
}

/** So many frames of a source at a run's size and rate; what was done that nobody may expect is said. */
async function frames(source: Source, count: number, s: Settings, stop: AbortSignal): Promise<Frames> {
  const { fps, width, height } = s;
  const decoded = await decode({ ...source, frames: count, fps, width, height }, stop);
  if (count > 1) for (const note of decoded.notes) say(note);
  return decoded.frames;
}

async function startOf(s: Settings, { start }: Inputs, stop: AbortSignal): Promise<RunRequest["start"]> {
  const { mode } = s;
  if (mode === "text") return undefined;
  if (!start) throw new Error(`there is no ${mode} to start from; choose one first`);
  return { kind: mode, name: start.name, frames: await frames(start, mode === "image" ? 1 : s.frames, s, stop) };
}

async function controlOf(s: Settings, { guide, keys }: Inputs, stop: AbortSignal): Promise<Control | undefined> {
  const made = s.controlMade;
  switch (controlIn(s)) {
    case "pictures":
      if (!guide) throw new Error("there are no pictures to follow; choose some first, or let the clip follow nothing");
      return {
        ...networkOf(s),
        name: guide.name,
        guide: { kind: "pictures", frames: await frames(guide, s.frames, s, stop), made },
      };
    case "keys": {
      const given: Source[] = [];
      for (const [i, frame] of s.keyFrames.entries()) {
        const source = keys?.[i];
        if (!source) throw new Error(`there is no picture for key frame ${frame}; choose one first`);
        given.push(source);
      }
      const pictures: Frames[] = [];
      for (const source of given) pictures.push(await frames(source, 1, s, stop));
      const rgba = new Uint8Array(await new Blob(pictures.map((p) => p.rgba as BlobPart)).arrayBuffer());
      return {
        ...networkOf(s),
        name: given.map((source) => source.name).join(","),
        guide: {
          kind: "keys",
          frames: { width: s.width, height: s.height, count: pictures.length, rgba },
          made,
          at: s.keyFrames,
        },
      };
    }
    case "none":
    case "path":
      return undefined;
  }
}

/** IP-Adapters look at pictures as they are: each cuts and scales them itself. */
async function likenessesOf(s: Settings, { likenesses }: Inputs, stop: AbortSignal): Promise<Likeness[]> {
  const read: Likeness[] = [];
  for (const use of s.likenesses) {
    const sources = likenesses?.[use.id] ?? [];
    const encoder = encoderOf(s);
    if (sources.length === 0) throw new Error("there is no picture that the clip should be like; choose one first");
    if (encoder === undefined)
      throw new Error("an IP-Adapter sees through an image encoder, and none is stored; add its folder on Models");
    const images: Picture[] = [];
    for (const source of sources) images.push((await decode({ ...source, frames: 1, fps: s.fps }, stop)).frames);
    read.push({ ...use, encoder, names: sources.map((source) => source.name), images });
  }
  return read;
}
