// Video files through WebCodecs, demuxed by mediabunny: frames for video to video, and the recipe in a video's comment. Loaded
// only where a video comes in.

import { BlobSource, Input, MATROSKA, MP4, QTFF, VideoSampleSink, WEBM } from "mediabunny";
import { PictureError, type Recipe, type VideoSource } from "../../index.js";
import { parseRecipe, RECIPE_KEYWORD } from "../../io/recipe.js";
import { pixelsOf } from "./decode.js";

/** MP4, MOV, WebM, MKV; every other container would only make the page larger. */
const FORMATS = [MP4, QTFF, WEBM, MATROSKA];

function unreadable(name: string, cause: unknown): PictureError {
  return new PictureError(`${name} is no picture or video that this browser can read`, { cause });
}

export async function videoSource(blob: Blob, name: string): Promise<VideoSource> {
  const input = new Input({ source: new BlobSource(blob), formats: FORMATS });
  const track = await input.getPrimaryVideoTrack().catch((cause: unknown) => {
    throw unreadable(name, cause);
  });
  if (!track) throw unreadable(name, undefined);
  if (!(await track.canDecode())) throw new PictureError(`${name} is coded in a way that this browser does not decode`);
  return {
    info: {
      name,
      format: "video",
      width: await track.getDisplayWidth(),
      height: await track.getDisplayHeight(),
      seconds: await track.computeDuration(),
    },
    async *pictures({ seconds }) {
      for await (const sample of new VideoSampleSink(track).samples(0, seconds + 1)) {
        const { duration: seconds, displayWidth, displayHeight } = sample;
        // Upright: phones store portraits lying, with a note.
        const draw = (context: OffscreenCanvasRenderingContext2D) =>
          sample.draw(context, 0, 0, displayWidth, displayHeight);
        const picture = pixelsOf(draw, displayWidth, displayHeight);
        sample.close();
        yield { picture, seconds };
      }
    },
  };
}

/** The recipe in a video's comment. @throws PictureError where there is none */
export async function videoRecipe(blob: Blob, name: string): Promise<Recipe> {
  const input = new Input({ source: new BlobSource(blob), formats: FORMATS });
  const { comment } = await input.getMetadataTags().catch((cause: unknown) => {
    throw unreadable(name, cause);
  });
  if (comment === undefined || !comment.startsWith(`${RECIPE_KEYWORD} `))
    throw new PictureError(
      `${name} carries no recipe: it was not made by Kineograph, or was saved again by another program`,
    );
  return parseRecipe(comment.slice(RECIPE_KEYWORD.length + 1));
}
