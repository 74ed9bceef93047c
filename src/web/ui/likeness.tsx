// Pictures that the clip should be like, by IP-Adapters: there where one has been imported. Several may be in use, each with
// several pictures.

import type { LikenessSettings } from "../state/defaults.js";
import { usage } from "../state/desk.js";
import { encoderOf, give, inputs, type Source } from "../state/inputs.js";
import { change, settings, setter as set } from "../state/settings.js";
import { goTo } from "../state/view.js";
import { Choice, IconButton, Range } from "./controls.js";
import { SourceInput } from "./source-input.js";
import { Span } from "./span.js";

export function Likenesses() {
  const s = settings.value;
  const { models } = usage.value;
  const adapters = models.filter((m) => m.role === "ip-adapter");
  if (adapters.length === 0) return null;
  const encoders = models.filter((m) => m.role === "image-encoder").map((m) => [m.id, m.name] as const);
  const unused = adapters.filter((m) => !s.likenesses.some((l) => l.id === m.id)).map((m) => [m.id, m.name] as const);
  return (
    <section class="group" aria-label="Like a picture">
      {s.likenesses.map((l) => (
        <Adapter key={l.id} use={l} name={adapters.find((m) => m.id === l.id)?.name ?? "gone"} />
      ))}
      {unused.length > 0 && (
        <Choice
          label="Like a picture"
          tip="An IP-Adapter lets pictures speak beside the sentence: the clip takes over what they show, or their style"
          value=""
          options={[["", s.likenesses.length === 0 ? "no" : "another…"], ...unused]}
          onChange={(id) => id !== "" && change({ likenesses: [...s.likenesses, { id, scale: 1, start: 0, end: 1 }] })}
        />
      )}
      {s.likenesses.length > 0 && encoders.length > 1 && (
        <Choice
          label="Seen through"
          tip="The image encoder by which IP-Adapters see: the one they were made for, CLIP ViT-H/14 for those published"
          value={encoderOf(s) ?? ""}
          options={encoders}
          onChange={set("imageEncoder")}
        />
      )}
      {s.likenesses.length > 0 && encoders.length === 0 && (
        <div class="note bad">
          <p>
            IP-Adapters see through an image encoder, CLIP ViT-H/14: the folder <code>models/image_encoder</code> of
            h94/IP-Adapter. Add it, and they can be used.
          </p>
          <button type="button" class="secondary" onClick={() => goTo("models")}>
            Add models
          </button>
        </div>
      )}
    </section>
  );
}

function Adapter({ use, name }: { readonly use: LikenessSettings; readonly name: string }) {
  const { likenesses = {} } = inputs.value;
  const pictures = likenesses[use.id] ?? [];
  const put = (sources: readonly Source[]) => give({ likenesses: { ...likenesses, [use.id]: sources } });
  const alter = (patch: Partial<LikenessSettings>) => {
    const all = settings.value.likenesses;
    change({ likenesses: all.map((l) => (l.id === use.id ? { ...l, ...patch } : l)) });
  };
  return (
    <div class="likeness" role="group" aria-label={name}>
      <p>
        <span>
          Like a picture <small class="muted">{name}</small>
        </span>
        <IconButton
          icon="close"
          label={`Without ${name}`}
          onClick={() => change({ likenesses: settings.value.likenesses.filter((l) => l.id !== use.id) })}
        />
      </p>
      {[...pictures, undefined].map((source, i) => (
        <SourceInput
          key={i}
          source={source}
          label={`Picture ${i + 1} for ${name}`}
          text={i === 0 ? "Choose a picture" : "And another"}
          still
          onChange={(to) => put(to ? [...pictures.slice(0, i), to] : pictures.filter((_, k) => k !== i))}
        />
      ))}
      <Range
        label="Likeness"
        tip="How much the pictures count beside the sentence: 0 not at all, 1 as the adapter was trained; with a sentence of its own to say, 0.5 to 0.7."
        value={use.scale}
        min={0}
        max={1.5}
        step={0.05}
        onChange={(scale) => alter({ scale })}
      />
      <Span start={use.start} end={use.end} onChange={(start, end) => alter({ start, end })} />
    </div>
  );
}
