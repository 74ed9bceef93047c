// A picture, animation or video that a run reads: chosen, dropped or pasted, shown small, taken out again.

import type { Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Source } from "../state/inputs.js";
import { IconButton } from "./controls.js";
import { Icon } from "./icons.js";

export function SourceInput(p: {
  readonly source: Signal<Source | undefined>;
  /** What it is called for screen readers. */
  readonly label: string;
  /** Default: puts it into `source`. */
  onChoose?(source: Source): void;
}) {
  const source = p.source.value;
  const input = useRef<HTMLInputElement>(null);
  const [url, setUrl] = useState<string | undefined>();
  useEffect(() => {
    if (!source) {
      setUrl(undefined);
      return undefined;
    }
    const made = URL.createObjectURL(source.blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [source]);
  const moving =
    source !== undefined && (source.blob.type.startsWith("video/") || /\.(mp4|webm|mov|mkv)$/i.test(source.name));
  return (
    <div class="source">
      {source && url !== undefined ? (
        <>
          {moving ? <video src={url} muted loop autoplay playsInline /> : <img src={url} alt="" />}
          <span class="small">{source.name}</span>
          <IconButton icon="close" label="Take it out" onClick={() => (p.source.value = undefined)} />
        </>
      ) : (
        <button
          type="button"
          class="secondary wide"
          data-tip="A video, an animation (GIF, APNG, WebP) or a picture"
          onClick={() => input.current?.click()}
        >
          <Icon name="file" size={16} /> Choose a video or picture
        </button>
      )}
      <input
        ref={input}
        type="file"
        hidden
        aria-label={p.label}
        accept="video/*,image/*"
        onChange={(e) => {
          const file = e.currentTarget.files?.[0];
          const chosen = file && { name: file.name, blob: file };
          if (chosen && p.onChoose) p.onChoose(chosen);
          else if (chosen) p.source.value = chosen;
          e.currentTarget.value = "";
        }}
      />
    </div>
  );
}
