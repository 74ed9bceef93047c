// Pictures that options name: what cannot be read is said before a model is loaded; a single picture is the first frame of
// whatever its file holds.

import type { Clip } from "../io/frames.js";
import { checkFrames, sampleVideo, type VideoSource } from "../io/video.js";
import { openVideo } from "../io/video-file.js";

/**
 * Opens a picture, an animation, a video or a folder of frames. A still picture is decoded once, so that a file that was cut
 * off is refused here and not after minutes of loading.
 * @throws PictureError where it cannot be read, or its header names more pixels than are decoded
 */
export async function openChecked(path: string): Promise<VideoSource> {
  const source = await openVideo(path);
  checkFrames(source.info);
  if (source.info.count === 1 && source.info.format !== "frames") await sampleVideo(source, { fps: 1, frames: 1 });
  return source;
}

/** Whether a run encodes pictures by the VAE. */
export function readsPictures(a: {
  readonly initVideo?: string;
  readonly image?: string;
  readonly control?: readonly object[];
}): boolean {
  return a.initVideo !== undefined || a.image !== undefined || a.control !== undefined;
}

/** The first picture of a file as it is; `warn` is told where there are more. */
export async function firstPicture(path: string, warn: (text: string) => void, signal: AbortSignal): Promise<Clip> {
  const source = await openVideo(path);
  const { count, seconds } = source.info;
  if (count === undefined || count > 1)
    warn(
      `${path} has ${count === undefined ? `${(seconds ?? 0).toFixed(1)} s of video` : `${count} frames`}; one picture is wanted: the first is taken`,
    );
  return sampleVideo(source, { fps: 1, frames: 1, signal });
}
