// A picture, animation or video of the user's as frames: pictures by the browser's ImageDecoder, videos by WebCodecs through
// mediabunny (loaded only for them). Which frames are taken is the library's sampleVideo.

import { PictureError, sampleVideo, type Frames, type TimedPicture, type VideoSource } from "../../index.js";
import { sniff } from "../../io/sniff.js";
import type { DecodeRequest, Decoded } from "./protocol.js";

/** WebCodecs' decoder of pictures; the DOM's types do not know it yet. */
interface ImageDecoderLike {
  readonly tracks: { readonly ready: Promise<void>; readonly selectedTrack: { readonly frameCount: number } | null };
  readonly completed: Promise<void>;
  decode(options: { readonly frameIndex: number }): Promise<{ readonly image: VideoFrame }>;
  close(): void;
}
type ImageDecoderClass = new (options: { readonly data: ArrayBuffer; readonly type: string }) => ImageDecoderLike;

export async function decode(request: DecodeRequest, signal: AbortSignal): Promise<Decoded> {
  const { blob, name, ...wanted } = request;
  const source = await sourceOf(blob, name);
  const { width, height, count, rgba, notes } = await sampleVideo(source, { ...wanted, signal });
  const clip: Frames = { width, height, count, rgba };
  return { frames: clip, notes };
}

const IMAGES: Readonly<Record<string, string>> = {
  png: "image/png",
  gif: "image/gif",
  jpeg: "image/jpeg",
};

async function sourceOf(blob: Blob, name: string): Promise<VideoSource> {
  const head = new Uint8Array(await blob.slice(0, 512).arrayBuffer());
  const kind = sniff(head, blob.size);
  const webp = kind === "riff" && String.fromCharCode(...head.subarray(8, 12)) === "WEBP";
  const type = webp ? "image/webp" : (IMAGES[kind] ?? (blob.type.startsWith("image/") ? blob.type : undefined));
  if (type === undefined) return (await import("./video-source.js")).videoSource(blob, name);
  return imageSource(blob, name, type);
}

async function imageSource(blob: Blob, name: string, type: string): Promise<VideoSource> {
  const Decoder = (globalThis as { ImageDecoder?: ImageDecoderClass }).ImageDecoder;
  if (!Decoder) return stillSource(blob, name);
  const open = async () => new Decoder({ data: await blob.arrayBuffer(), type });
  const decoder = await open();
  try {
    await decoder.tracks.ready;
    await decoder.completed;
    const { image } = await decoder.decode({ frameIndex: 0 });
    const info = {
      name,
      format: type.slice(6).toUpperCase(),
      width: image.displayWidth,
      height: image.displayHeight,
      count: decoder.tracks.selectedTrack?.frameCount ?? 1,
    };
    image.close();
    return {
      info,
      async *pictures() {
        const again = await open();
        try {
          await again.completed;
          for (let i = 0; i < info.count; i++) {
            const { image: frame } = await again.decode({ frameIndex: i });
            const seconds = frame.duration === null ? undefined : frame.duration / 1e6;
            const picture = pixelsOf((c) => c.drawImage(frame, 0, 0), frame.displayWidth, frame.displayHeight);
            frame.close();
            yield { picture, seconds };
          }
        } finally {
          again.close();
        }
      },
    };
  } catch (cause) {
    throw new PictureError(
      `${name} cannot be read as a picture: it is damaged, or this browser does not know its form`,
      {
        cause,
      },
    );
  } finally {
    decoder.close();
  }
}

/** Browsers without ImageDecoder give a picture's first frame. */
async function stillSource(blob: Blob, name: string): Promise<VideoSource> {
  const bitmap = await createImageBitmap(blob).catch((cause: unknown) => {
    throw new PictureError(`${name} cannot be read as a picture by this browser`, { cause });
  });
  const { width, height } = bitmap;
  return {
    info: { name, format: "picture", width, height, count: 1 },
    // oxlint-disable-next-line require-await -- a source's frames are asynchronous
    async *pictures() {
      yield { picture: pixelsOf((c) => c.drawImage(bitmap, 0, 0), width, height), seconds: undefined };
    },
  };
}

/** RGBA of what `draw` draws. */
export function pixelsOf(
  draw: (context: OffscreenCanvasRenderingContext2D) => void,
  width: number,
  height: number,
): TimedPicture["picture"] {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  draw(context);
  const { data } = context.getImageData(0, 0, width, height);
  return { width, height, rgba: new Uint8Array(data.buffer) };
}
