// A clip, played: a canvas that turns its pages, and below it the frames as a strip on which any can be picked.

import { effect, type ReadonlySignal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Frames } from "../../index.js";
import { framesOf, type Clip } from "../state/history.js";
import { say } from "../state/toasts.js";
import { IconButton } from "./controls.js";

/** Frame `index` as the canvas takes it; shares the clip's memory. */
export function imageOf({ width, height, rgba }: Frames, index: number): ImageData {
  const bytes = width * height * 4;
  return new ImageData(new Uint8ClampedArray(rgba.buffer, rgba.byteOffset + index * bytes, bytes), width, height);
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Whether clips begin to play by themselves. */
export function autoplays(): boolean {
  return !still.matches;
}

/**
 * The picture alone. `index` is written while playing, and read while paused. Where `playing` is a signal, it stops at once:
 * with the next drawing it would turn another page after one was picked.
 */
export function Canvas(p: {
  readonly frames: Frames;
  readonly fps: number;
  readonly playing: boolean | ReadonlySignal<boolean>;
  readonly index: Signal<number>;
  readonly label: string;
  readonly soft?: boolean;
}) {
  const ref = useRef<HTMLCanvasElement>(null);
  const { frames, fps, playing, index } = p;
  useEffect(() => {
    const canvas = ref.current;
    const context = canvas?.getContext("2d");
    if (!canvas || !context) return;
    canvas.width = frames.width;
    canvas.height = frames.height;
    let shown = -1;
    const draw = () => {
      const i = Math.min(frames.count - 1, index.peek());
      if (i !== shown) context.putImageData(imageOf(frames, i), 0, 0);
      shown = i;
    };
    draw();
    const play = () => {
      let request = 0;
      const origin = performance.now() - (index.peek() / fps) * 1000;
      const tick = (now: number) => {
        const i = Math.floor(((now - origin) / 1000) * fps) % frames.count;
        if (i !== shown) {
          index.value = Math.max(0, i);
          draw();
        }
        request = requestAnimationFrame(tick);
      };
      request = requestAnimationFrame(tick);
      return () => cancelAnimationFrame(request);
    };
    return effect(() => ((typeof playing === "boolean" ? playing : playing.value) ? play() : index.subscribe(draw)));
  }, [frames, fps, playing, index]);
  return <canvas ref={ref} class={p.soft ? "picture soft" : "picture"} role="img" aria-label={p.label} />;
}

/** Play or pause, the filmstrip, and what else belongs to it. */
export function Transport(p: {
  readonly frames: Frames | undefined;
  readonly index: Signal<number>;
  readonly playing: Signal<boolean>;
  readonly children: ComponentChildren;
}) {
  const { frames, index, playing } = p;
  return (
    <div class="transport">
      <IconButton
        icon={playing.value ? "pause" : "play"}
        label={playing.value ? "Pause" : "Play"}
        onClick={() => (playing.value = !playing.value)}
      />
      {frames && <Filmstrip frames={frames} index={index} onPick={() => (playing.value = false)} />}
      {p.children}
    </div>
  );
}

/** All frames side by side; a slider lies over them. */
function Filmstrip(p: { readonly frames: Frames; readonly index: Signal<number>; onPick(): void }) {
  const ref = useRef<HTMLCanvasElement>(null);
  const { frames } = p;
  useEffect(() => {
    const canvas = ref.current;
    const context = canvas?.getContext("2d");
    if (!canvas || !context) return;
    // Every frame has a cell of the same width, as many as there is room for; each shows the middle of its frame.
    const ratio = devicePixelRatio;
    const shown = Math.max(1, Math.min(frames.count, Math.floor(canvas.clientWidth / 22)));
    const [width, height] = [Math.round((canvas.clientWidth * ratio) / shown), Math.round(canvas.clientHeight * ratio)];
    canvas.width = shown * width;
    canvas.height = height;
    const scale = Math.max(width / frames.width, height / frames.height);
    const [w, h] = [width / scale, height / scale];
    let over = false;
    const paint = async () => {
      for (let i = 0; i < shown && !over; i++) {
        const at = Math.floor((i * frames.count) / shown);
        const bitmap = await createImageBitmap(imageOf(frames, at));
        const [x, y] = [(frames.width - w) / 2, (frames.height - h) / 2];
        context.drawImage(bitmap, x, y, w, h, i * width, 0, width, height);
        bitmap.close();
      }
    };
    void paint();
    return () => {
      over = true;
    };
  }, [frames]);
  const at = p.index.value;
  return (
    <div class="filmstrip" style={{ "--at": at, "--count": frames.count }}>
      <canvas ref={ref} aria-hidden="true" />
      <span class="cursor" aria-hidden="true" />
      <input
        type="range"
        min={0}
        max={frames.count - 1}
        value={at}
        aria-label="Frame"
        aria-valuetext={`frame ${at + 1} of ${frames.count}`}
        data-tip="Pick a frame; the arrow keys turn page by page"
        onInput={(e) => {
          p.onPick();
          p.index.value = Number(e.currentTarget.value);
        }}
      />
    </div>
  );
}

/** The frames of a clip, once they are read. */
export function useFrames(clip: Clip): Frames | undefined {
  const [frames, setFrames] = useState<Frames | undefined>();
  useEffect(() => {
    let here = true;
    framesOf(clip)
      .then((f) => here && setFrames(f))
      .catch((error: Error) => say(error.message, "error"));
    return () => {
      here = false;
    };
  }, [clip.id]);
  return frames;
}
