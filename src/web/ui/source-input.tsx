// A picture, animation or video that a run reads: chosen, dropped or pasted, shown small, taken out again.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Source } from "../state/inputs.js";
import { IconButton } from "./controls.js";
import { Icon } from "./icons.js";

export function SourceInput(p: {
  readonly source: Source | undefined;
  /** What it is called for screen readers. */
  readonly label: string;
  /** What its button says. */
  readonly text?: string;
  /** Whether only pictures are taken. */
  readonly still?: boolean;
  onChange(source: Source | undefined): void;
}) {
  const { source } = p;
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
          <IconButton icon="close" label={`Take out ${source.name}`} onClick={() => p.onChange(undefined)} />
        </>
      ) : (
        <button
          type="button"
          class="secondary wide"
          data-tip={
            p.still
              ? "A picture; of an animation or a video the first frame"
              : "A video, an animation (GIF, APNG, WebP) or a picture"
          }
          onClick={() => input.current?.click()}
        >
          <Icon name="file" size={16} /> {p.text ?? "Choose a video or picture"}
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
          if (file) p.onChange({ name: file.name, blob: file });
          e.currentTarget.value = "";
        }}
      />
    </div>
  );
}
