// Video files through the programs ffprobe and ffmpeg, where they are on PATH (Node only). Frames come and go by a pipe; no
// more is decoded than is taken.

import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import type { AnimationOptions } from "./apng.js";
import { messageOf, PictureError } from "./errors.js";
import { checkClip, fraction, frameOf, type Clip } from "./frames.js";
import type { TimedPicture, VideoSource } from "./video.js";

/** The first stream of moving pictures, as ffprobe tells it. */
interface Probe {
  readonly streams?: readonly {
    readonly codec_name?: string;
    readonly width?: number;
    readonly height?: number;
    readonly avg_frame_rate?: string;
    readonly nb_frames?: string;
    readonly duration?: string;
    readonly sample_aspect_ratio?: string;
    readonly side_data_list?: readonly { readonly rotation?: number }[];
  }[];
  readonly format?: { readonly duration?: string };
}

/** A program that runs; `what` says for what it is wanted. @throws PictureError where it is not installed */
async function start(
  program: "ffmpeg" | "ffprobe",
  args: readonly string[],
  what: string,
): Promise<ChildProcessWithoutNullStreams> {
  const child = spawn(program, args, { stdio: "pipe" });
  try {
    await once(child, "spawn");
  } catch (error) {
    throw new PictureError(
      error instanceof Error && "code" in error && error.code === "ENOENT"
        ? `${what} takes ${program}${program === "ffprobe" ? ", which comes with ffmpeg," : ""} on PATH, and it is not there; install ffmpeg`
        : `${program} cannot be started: ${messageOf(error)}`,
      { cause: error },
    );
  }
  child.stdin.on("error", () => undefined); // a program that ended early says why by its status
  return child;
}

/** Everything a stream says. */
async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = "";
  for await (const part of stream) all += String(part);
  return all;
}

/** The cause among the complaints of a program: what follows the first is its consequence. */
function firstLine(complaint: string): string {
  return complaint.split(/[\r\n]+/).find((line) => line.trim() !== "") ?? "it gave no reason";
}

/** A name that ffmpeg takes for a file, whatever characters it begins with. */
const fileUrl = (path: string) => `file:${path}`;

/** 30000/1001 → 29.97 */
function ratio(value: string | undefined): number | undefined {
  const [, n, d] = /^(\d+)[/:](\d+)$/.exec(value ?? "") ?? [];
  const r = Number(n) / Number(d);
  return Number.isFinite(r) && r > 0 ? r : undefined;
}

/**
 * A video file, anything that ffmpeg reads: turned as it says, square pixels, each frame with its time.
 * @throws PictureError where ffmpeg is missing or does not know the file
 */
export async function ffmpegSource(path: string): Promise<VideoSource> {
  const entries =
    "stream=codec_name,width,height,avg_frame_rate,nb_frames,duration,sample_aspect_ratio:stream_side_data=rotation:format=duration";
  const args = ["-v", "error", "-protocol_whitelist", "file", "-select_streams", "v:0", "-show_entries", entries];
  const child = await start("ffprobe", [...args, "-of", "json", fileUrl(path)], `reading the video ${path}`);
  const closed = once(child, "close");
  const [out, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [status] = await closed;
  const probe = status === 0 ? (JSON.parse(out) as Probe) : {};
  const stream = probe.streams?.[0];
  if (!stream?.width || !stream.height)
    throw new PictureError(
      `${path} is no picture or video that can be read here${complaint === "" ? "; it has no moving pictures" : `: ${complaint.trim().split("\n").at(-1)!}`}`,
    );
  const turned = (stream.side_data_list ?? []).some(({ rotation = 0 }) => Math.abs(rotation) % 180 === 90);
  const wide = Math.max(1, Math.round(stream.width * (ratio(stream.sample_aspect_ratio) ?? 1)));
  const [width, height] = turned ? [stream.height, wide] : [wide, stream.height];
  const rate = ratio(stream.avg_frame_rate);
  const seconds = Number(stream.duration ?? probe.format?.duration);
  return {
    info: {
      name: path,
      format: stream.codec_name ?? "video",
      width,
      height,
      ...(stream.nb_frames !== undefined && /^\d+$/.test(stream.nb_frames) && { count: Number(stream.nb_frames) }),
      ...(seconds > 0 && { seconds }),
    },
    pictures: () => decode(path, width, height, 1 / (rate ?? 25)),
  };
}

/** All frames; the last one, of which only the beginning is known, shows for `lastSeconds`. */
async function* decode(path: string, width: number, height: number, lastSeconds: number): AsyncGenerator<TimedPicture> {
  const filter = `scale=${width}:${height}:flags=lanczos+accurate_rnd+full_chroma_int,setsar=1,format=rgba,showinfo`;
  const args = ["-hide_banner", "-nostdin", "-nostats", "-protocol_whitelist", "file", "-i", fileUrl(path)];
  const child = await start(
    "ffmpeg",
    [
      ...args,
      "-map",
      "0:v:0",
      "-vf",
      filter,
      "-fps_mode",
      "passthrough",
      "-f",
      "rawvideo",
      "-pix_fmt",
      "rgba",
      "pipe:1",
    ],
    `reading the video ${path}`,
  );
  const closed = once(child, "close");
  const messages = new Messages(child.stderr);
  try {
    const frame = { width, height, bytes: width * height * 4 };
    let held: { rgba: Uint8Array; at: number } | undefined;
    let index = 0;
    for await (const rgba of pieces(child.stdout, frame.bytes)) {
      const at = (await messages.time(index++)) ?? Number.NaN;
      if (held) {
        const shown = at - held.at;
        yield { picture: { width, height, rgba: held.rgba }, seconds: shown > 0 ? shown : lastSeconds };
      }
      held = { rgba, at };
    }
    if (held) yield { picture: { width, height, rgba: held.rgba }, seconds: lastSeconds };
    const [status] = await closed;
    if (status !== 0) throw new PictureError(`${path}: ffmpeg cannot read it to its end: ${messages.last}`);
  } finally {
    child.kill("SIGKILL"); // nothing to do where it has ended
    await closed;
  }
}

/** What ffmpeg tells on stderr: the frames' times, by the filter showinfo, and complaints. */
class Messages {
  /** The last line that is no frame's. */
  last = "it gave no reason";
  readonly #times: number[] = [];
  #open = true;
  #wake: (() => void) | undefined;

  constructor(stream: NodeJS.ReadableStream) {
    let rest = "";
    stream.on("data", (data: Buffer) => {
      const lines = (rest + data.toString("latin1")).split(/[\r\n]+/);
      rest = lines.pop()!;
      for (const line of lines) {
        const time = /Parsed_showinfo.*\bn: *\d+ .*\bpts_time:(\S+)/.exec(line)?.[1];
        if (time !== undefined) this.#times.push(Number(time));
        else if (line.trim() !== "" && !line.includes("Parsed_showinfo")) this.last = line.trim();
      }
      this.#wake?.();
    });
    stream.on("close", () => {
      this.#open = false;
      this.#wake?.();
    });
  }

  /** When frame `index` shows, in seconds; undefined where ffmpeg does not say. */
  async time(index: number): Promise<number | undefined> {
    while (this.#open && this.#times.length <= index)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#times[index];
  }
}

/** A stream in pieces of one size; an incomplete one at the end is left out. */
async function* pieces(stream: NodeJS.ReadableStream, size: number): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(size);
  let filled = 0;
  for await (const part of stream as AsyncIterable<Buffer>)
    for (let at = 0; at < part.length;) {
      const n = Math.min(size - filled, part.length - at);
      piece.set(part.subarray(at, at + n), filled);
      at += n;
      filled += n;
      if (filled === size) {
        yield piece;
        piece = new Uint8Array(size);
        filled = 0;
      }
    }
}

/** Video files that are written. */
export type VideoFormat = "mp4" | "webm";

/** What makes the picture hardly differ from the frames; 4:2:0, as players want it. */
const ENCODERS: Readonly<Record<VideoFormat, { readonly name: string; readonly args: readonly string[] }>> = {
  mp4: { name: "libx264", args: ["-crf", "14", "-preset", "slow", "-movflags", "+faststart"] },
  webm: { name: "libvpx-vp9", args: ["-crf", "18", "-b:v", "0", "-row-mt", "1"] },
};

/** @throws PictureError where ffmpeg is not on PATH, or was built without what encodes this format */
export async function findEncoder(what: string, format: VideoFormat): Promise<void> {
  const { name } = ENCODERS[format];
  const child = await start("ffmpeg", ["-hide_banner", "-h", `encoder=${name}`], what);
  const closed = once(child, "close");
  child.stderr.resume();
  const out = await text(child.stdout);
  await closed;
  // ffmpeg ends well also where it does not know the name.
  if (!out.includes(`Encoder ${name} `))
    throw new PictureError(
      `${what} takes ffmpeg with ${name}, and the one on PATH was built without it; install one that has it, or use .png or .webp`,
    );
}

/** A clip as an H.264 or VP9 video; texts become comments `keyword text`. @throws PictureError, or the signal's reason */
export async function encodeVideo(
  path: string,
  format: VideoFormat,
  clip: Clip,
  options: AnimationOptions,
): Promise<void> {
  checkClip(clip);
  const { width, height, count } = clip;
  if (width % 2 !== 0 || height % 2 !== 0)
    throw new PictureError(`.${format} takes even sizes, and the clip has ${width}x${height}; use .png or .webp`);
  const [fps, per] = fraction(options.fps);
  const raw = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", `${width}x${height}`, "-r", `${fps}/${per}`, "-i", "pipe:0"];
  const colours = [
    "-vf",
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p",
  ];
  for (const tag of ["-colorspace", "-color_primaries", "-color_trc"]) colours.push(tag, "bt709");
  const comments = Object.entries(options.texts ?? {}).flatMap(([k, text]) => ["-metadata", `comment=${k} ${text}`]);
  const child = await start(
    "ffmpeg",
    [
      "-hide_banner",
      "-nostats",
      "-v",
      "error",
      "-y",
      ...raw,
      ...colours,
      "-c:v",
      ENCODERS[format].name,
      ...ENCODERS[format].args,
      ...comments,
      "-f",
      format,
      fileUrl(path),
    ],
    `writing .${format}`,
  );
  const closed = once(child, "close");
  child.stdout.resume();
  const complaint = text(child.stderr);
  const abort = () => child.kill("SIGKILL");
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    for (let i = 0; i < count && child.exitCode === null && child.stdin.writable; i++)
      // Where ffmpeg gives up, the pipe breaks first; why is told by what it says until it has closed.
      if (!child.stdin.write(frameOf(clip, i).rgba))
        await Promise.race([once(child.stdin, "drain").catch(() => closed), closed]);
    child.stdin.end();
    const [status] = await closed;
    options.signal?.throwIfAborted();
    if (status !== 0) throw new PictureError(`ffmpeg cannot write .${format}: ${firstLine(await complaint)}`);
  } finally {
    options.signal?.removeEventListener("abort", abort);
    child.kill("SIGKILL");
  }
}

/** The comments of a video file. @throws PictureError */
export async function videoComments(path: string): Promise<string[]> {
  const args = [
    "-v",
    "error",
    "-protocol_whitelist",
    "file",
    "-show_entries",
    "format_tags",
    "-of",
    "json",
    fileUrl(path),
  ];
  const child = await start("ffprobe", args, `reading the video ${path}`);
  const closed = once(child, "close");
  const [out, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [status] = await closed;
  if (status !== 0) throw new PictureError(`${path} cannot be read: ${complaint.trim().split("\n").at(-1)!}`);
  const { format } = JSON.parse(out) as { readonly format?: { readonly tags?: Readonly<Record<string, string>> } };
  return Object.entries(format?.tags ?? {}).flatMap(([name, value]) =>
    // Matroska's tags of a whole file may be named with their level: MOVIE/COMMENT.
    /(^|\/)comment$/i.test(name) ? [value] : [],
  );
}
