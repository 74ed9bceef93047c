// MP4 and WebM by WebCodecs, muxed by mediabunny; the codec is the first that this browser encodes at the clip's size. Loaded
// only where a video is asked for. The recipe goes into the comment, as from the command line.

import {
  BufferTarget,
  canEncodeVideo,
  Mp4OutputFormat,
  Output,
  QUALITY_VERY_HIGH,
  VideoSample,
  VideoSampleSource,
  WebMOutputFormat,
  type VideoCodec,
} from "mediabunny";
import { RECIPE_KEYWORD, type Recipe } from "../../io/recipe.js";
import type { Frames } from "../../index.js";

type Container = "mp4" | "webm";

const CODECS: Readonly<Record<Container, readonly VideoCodec[]>> = {
  mp4: ["avc", "av1", "vp9"],
  webm: ["vp9", "av1", "vp8"],
};

/** The codec for a clip of this size; undefined where this browser encodes none. */
export async function videoCodec(
  container: Container,
  { width, height }: { readonly width: number; readonly height: number },
): Promise<VideoCodec | undefined> {
  if (!("VideoEncoder" in globalThis)) return undefined;
  for (const codec of CODECS[container]) if (await canEncodeVideo(codec, { width, height })) return codec;
  return undefined;
}

export async function encodeVideo(
  container: Container,
  frames: Frames,
  options: { readonly fps: number; readonly recipe: Recipe; readonly signal: AbortSignal },
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, count, rgba } = frames;
  const codec = await videoCodec(container, frames);
  if (!codec)
    throw new Error(
      `this browser encodes no ${container} of ${width} × ${height}; save a GIF or an animated PNG instead`,
    );
  const target = new BufferTarget();
  const output = new Output({
    format: container === "mp4" ? new Mp4OutputFormat({ fastStart: "in-memory" }) : new WebMOutputFormat(),
    target,
  });
  const source = new VideoSampleSource({ codec, quality: QUALITY_VERY_HIGH });
  output.addVideoTrack(source, { frameRate: options.fps });
  output.setMetadataTags({
    title: options.recipe.prompt,
    comment: `${RECIPE_KEYWORD} ${JSON.stringify(options.recipe)}`,
  });
  await output.start();
  const bytes = width * height * 4;
  for (let i = 0; i < count; i++) {
    options.signal.throwIfAborted();
    const sample = new VideoSample(rgba.subarray(i * bytes, (i + 1) * bytes), {
      format: "RGBA",
      codedWidth: width,
      codedHeight: height,
      timestamp: i / options.fps,
      duration: 1 / options.fps,
    });
    await source.add(sample, { keyFrame: i === 0 });
    sample.close();
  }
  await output.finalize();
  return new Uint8Array(target.buffer!);
}
