// Getting a clip out: as a file in the formats that this browser can make, into the clipboard, as a link or a command.

import type { Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { recipeToCommand, type Frames } from "../../index.js";
import type { Format } from "../desk/protocol.js";
import { encode, formatsOf, usage } from "../state/desk.js";
import type { Clip } from "../state/history.js";
import { shareLink } from "../state/share.js";
import { say } from "../state/toasts.js";
import { Icon } from "./icons.js";

const NAMES: Readonly<Record<Format, readonly [title: string, note: string, suffix: string]>> = {
  apng: ["Animated PNG", "every pixel as it is, with its recipe", ".png"],
  gif: ["GIF", "plays everywhere, 256 colours, with its recipe", ".gif"],
  webp: ["WebP", "small and animated, with its recipe", ".webp"],
  mp4: ["MP4 video", "for messengers and editors", ".mp4"],
  webm: ["WebM video", "small, for the web", ".webm"],
  zip: ["Frames as ZIP", "PNG pictures and the recipe as text", ".zip"],
  png: ["This frame", "one PNG picture", ".png"],
};

function fileName(clip: Clip, format: Format, frame: number): string {
  const words = clip.recipe.prompt
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
    .replaceAll(/^-|-$/g, "")
    .slice(0, 48);
  const part = format === "png" ? `-frame-${frame}` : "";
  return `${words === "" ? "kineograph" : words}-${clip.settings.seed}${part}${NAMES[format][2]}`;
}

function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function SaveMenu(p: {
  readonly clip: Clip;
  readonly frames: Frames;
  readonly fps: number;
  readonly index: Signal<number>;
}) {
  const { clip, frames, fps, index } = p;
  const [formats, setFormats] = useState<readonly Format[]>([]);
  const [busy, setBusy] = useState<Format | "copy" | undefined>();
  const ref = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    void formatsOf(clip.width, clip.height).then(setFormats);
  }, [clip.width, clip.height]);
  useEffect(() => {
    const close = (e: Event) => {
      const menu = ref.current;
      if (!menu?.open) return;
      if (e instanceof KeyboardEvent) {
        if (e.key !== "Escape") return;
        e.stopPropagation();
        menu.querySelector("summary")?.focus();
      } else if (e.target instanceof Node && menu.contains(e.target)) return;
      menu.open = false;
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close, true);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close, true);
    };
  }, []);
  const recipe = { ...clip.recipe, fps };
  const attempt = async (what: Format | "copy", body: () => Promise<void>) => {
    setBusy(what);
    try {
      await body();
      if (ref.current) ref.current.open = false;
    } catch (error) {
      say((error as Error).message, "error");
    } finally {
      setBusy(undefined);
    }
  };
  const save = (format: Format) =>
    attempt(format, async () => {
      const frame = index.peek();
      download(await encode({ format, frames, fps, recipe, frame }), fileName(clip, format, frame));
    });
  const copyPicture = () =>
    attempt("copy", async () => {
      const png = encode({ format: "png", frames, fps, recipe, frame: index.peek() });
      await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
      say("The frame is in the clipboard.");
    });
  const copyText = (text: string, what: string) => () =>
    attempt("copy", async () => {
      await navigator.clipboard.writeText(text);
      say(`${what} is in the clipboard.`);
    });
  return (
    <details class="menu" ref={ref}>
      <summary class="primary" data-tip="As a file, into the clipboard, as a link">
        <Icon name="download" size={16} /> Save
      </summary>
      <div class="menu-body">
        {formats.map((format) => {
          const [title, note] = NAMES[format];
          return (
            <button key={format} type="button" disabled={busy !== undefined} onClick={() => void save(format)}>
              <strong>{title}</strong>
              <small>{busy === format ? "being made…" : note}</small>
            </button>
          );
        })}
        <hr />
        <button type="button" disabled={busy !== undefined} onClick={() => void copyPicture()}>
          <Icon name="copy" size={16} /> <strong>Copy this frame</strong>
        </button>
        <button
          type="button"
          disabled={busy !== undefined}
          onClick={() => void copyText(shareLink(clip.settings, usage.peek().models), "The link")()}
        >
          <Icon name="link" size={16} /> <strong>Copy a link to these settings</strong>
        </button>
        <button
          type="button"
          disabled={busy !== undefined}
          onClick={() => void copyText(recipeToCommand(recipe), "The command")()}
        >
          <Icon name="text" size={16} /> <strong>Copy as a command</strong>
        </button>
      </div>
    </details>
  );
}
