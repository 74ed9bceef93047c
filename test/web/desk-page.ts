// What desk.test.ts runs in a browser: parts of the studio that need its codecs and canvases, by themselves.

import { BufferTarget, canEncodeVideo, Mp4OutputFormat, Output, VideoSample, VideoSampleSource } from "mediabunny";
import { decode } from "../../src/web/desk/decode.js";
import { videoSource } from "../../src/web/desk/video-source.js";
import { pagesOf, stripOf } from "../../src/web/state/strip.js";

type Colour = readonly number[];

/** RGBA frames; `colour` of a place in one. */
function painted(width: number, height: number, count: number, colour: (x: number, frame: number) => Colour) {
  const rgba = new Uint8Array(width * height * 4 * count);
  for (let i = 0; i < width * height * count; i++) rgba.set(colour(i % width, Math.floor(i / (width * height))), 4 * i);
  return { width, height, count, rgba };
}

/** A video of 128 × 64, red on the left and blue on the right, to be turned by so many degrees, as it is read again. */
export async function turned(rotation: 0 | 90) {
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: "in-memory" }), target });
  const codec = (await canEncodeVideo("vp9", { width: 128, height: 64 })) ? "vp9" : "av1";
  const track = new VideoSampleSource({ codec, bitrate: 1e6 });
  output.addVideoTrack(track, { frameRate: 8, rotation });
  await output.start();
  const { rgba } = painted(128, 64, 1, (x) => (x < 64 ? [255, 0, 0, 255] : [0, 0, 255, 255]));
  const sample = new VideoSample(rgba, {
    format: "RGBA",
    codedWidth: 128,
    codedHeight: 64,
    timestamp: 0,
    duration: 1 / 8,
  });
  await track.add(sample, { keyFrame: true });
  sample.close();
  await output.finalize();
  const source = await videoSource(new Blob([target.buffer!], { type: "video/mp4" }), "phone.mp4");
  for await (const { picture } of source.pictures({ count: 1, seconds: 1 })) {
    const { width, height } = picture;
    const red = (x: number, y: number) => picture.rgba[4 * (y * width + x)]! > 128;
    return {
      told: [source.info.width, source.info.height],
      given: [width, height],
      red: [red(5, 5), red(width - 6, 5), red(5, height - 6)],
    };
  }
  throw new Error("no picture");
}

/** A photo of 128 × 64, red on the left and blue on the right, with a camera's note of how it was held, as it is read. */
export async function photo(orientation: number) {
  const canvas = new OffscreenCanvas(128, 64);
  const context = canvas.getContext("2d")!;
  context.fillStyle = "#f00";
  context.fillRect(0, 0, 64, 64);
  context.fillStyle = "#00f";
  context.fillRect(64, 0, 64, 64);
  const jpeg = await canvas.convertToBlob({ type: "image/jpeg" });
  // Exif in big-endian order: one entry, tag 0x0112, of one short.
  const exif = new TextEncoder().encode("Exif\0\0MM\0*\0\0\0\b\0\x01\x01\x12\0\x03\0\0\0\x01");
  const note = Uint8Array.from([...exif, 0, orientation, 0, 0, 0, 0, 0, 0]);
  const parts = [jpeg.slice(0, 2), Uint8Array.from([0xff, 0xe1, 0, note.length + 2]), note, jpeg.slice(2)];
  const { frames } = await decode(
    { blob: new Blob(parts), name: "photo.jpg", frames: 1, fps: 8, width: 64, height: 64 },
    new AbortController().signal,
  );
  const red = (x: number, y: number) => frames.rgba[4 * (y * 64 + x)]! > 128;
  return [red(5, 5), red(58, 5), red(5, 58)];
}

/** The strip of a clip whose frames get redder, as it is: its width in pages, and the red of its last page. */
export async function strip(width: number, height: number, count: number) {
  const clip = painted(width, height, count, (_, frame) => [Math.floor((255 * frame) / count), 0, 0, 255]);
  const bitmap = await createImageBitmap(await stripOf(clip));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  const page = bitmap.width / pagesOf(clip);
  const [last] = context.getImageData(Math.round(bitmap.width - page / 2), bitmap.height / 2, 1, 1).data;
  return { pages: pagesOf(clip), width: page, last };
}
