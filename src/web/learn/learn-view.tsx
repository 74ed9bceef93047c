// The Learn tab: how the clip came out of the noise, and the network as a map that shows where the time goes; a part tells
// what it does, which kernels ran in it, and their source.

import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Frames } from "../../index.js";
import type { KernelTime } from "../engine/protocol.js";
import { engine, gpu } from "../state/engine.js";
import { missing } from "../state/inputs.js";
import { cancel, current, enqueueTimed, kernels, lastPreviews } from "../state/jobs.js";
import { settings } from "../state/settings.js";
import { autoplays, Canvas } from "../ui/player.js";
import { ProgressBar } from "../ui/progress.js";
import { count } from "../ui/words.js";
import { Choice } from "../ui/controls.js";
import { Attention } from "./attention.js";
import { wordsOf } from "./heat.js";
import { EXPLAINED, NETWORKS } from "./explained.js";
import { mapOf, type Block, type NetworkMap, type Part } from "./map.js";

export function LearnView() {
  const g = gpu.value;
  const running = current.value;
  const able = g.state === "ready" && g.info.timestamps;
  const [picked, pick] = useState<string | undefined>();
  const [word, setWord] = useState<string | undefined>();
  const s = settings.value;
  // Windows and later sentences have texts and frames of their own.
  const whole = s.travel.length === 0 && (s.course === "whole" || s.frames <= s.context);
  const offered = whole ? wordsOf(s.prompt) : [];
  const longest = offered.reduce((a, b) => (b.length > a.length ? b : a), "");
  const chosen = word !== undefined && (word === "" || offered.includes(word)) ? word : longest;
  const watched = chosen === "" ? undefined : chosen;
  const map = mapOf(kernels.value);
  const all = [map.text, map.down, map.mid, map.up, map.decoder, map.rest].flat().flatMap((b) => b.parts);
  const part = all.find((p) => p.name === picked);
  return (
    <div class="page learn">
      <h1>What happens inside</h1>
      <p class="lead">
        A clip starts as noise. A network looks at it, at the sentence and at how noisy it is, and says what is noise in
        it; a sampler takes some of that away; four rounds of this make a clip. Watch it at work, and press a part to
        see what it does and the very shader that ran.
      </p>
      <div class="run">
        {running ? (
          <>
            <ProgressBar job={running} />
            <button type="button" class="secondary" onClick={() => cancel(running)}>
              Stop
            </button>
          </>
        ) : (
          <button
            type="button"
            class="primary"
            disabled={!able || missing(s) !== undefined}
            data-tip="Makes the clip of the Create page, timing every dispatch on the GPU: somewhat slower"
            onClick={() => enqueueTimed(settings.value, watched)}
          >
            Run and watch
          </button>
        )}
        {!running && offered.length > 0 && (
          <Choice
            label="A word to watch"
            tip="A word of the prompt: the page shows where in the frames the network listens to it. Costs a second look at the text."
            value={watched ?? ""}
            options={[["", "none"], ...offered.map((w) => [w, w] as const)]}
            onChange={setWord}
          />
        )}
        {g.state === "ready" && !able && (
          <p class="muted">
            This adapter has no timestamp queries, so its work cannot be timed; the rest of the page works.
          </p>
        )}
      </div>
      <Steps />
      <Attention />
      {kernels.value.length > 0 ? (
        <>
          <h2>Where the time goes</h2>
          <p class="muted">
            {map.ms.toFixed(0)} ms on the GPU so far, in {kernels.value.reduce((n, k) => n + k.calls, 0)} dispatches.
            The stronger the colour, the longer.
          </p>
          <Map map={map} picked={part?.name} pick={pick} />
          {part && <Details part={part} total={map.ms} />}
        </>
      ) : (
        !running && (
          <div class="to-come">
            <p>Run it once, and here you find</p>
            <ul>
              <li>what the sampler takes the clip for after each step,</li>
              <li>where in the frames a word of the sentence acts,</li>
              <li>the network as a map, with the time of each of its parts,</li>
              <li>and behind each part what it does, and the shader that ran in it.</li>
            </ul>
          </div>
        )
      )}
    </div>
  );
}

/** The estimate after each step. */
function Steps() {
  const previews = lastPreviews.value;
  if (previews.length === 0) return null;
  return (
    <section aria-labelledby="steps">
      <h2 id="steps">Out of the noise</h2>
      <p class="muted">
        What the sampler takes the clip for after each step: its latents, four numbers for each 8 × 8 pixels, coloured
        by a linear map.
      </p>
      <ol class="steps">
        {previews.map((frames, i) => (
          <li key={i}>
            <Small frames={frames} label={`After step ${i + 1}`} />
            <span class="muted small">step {i + 1}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Small({ frames, label }: { readonly frames: Frames; readonly label: string }) {
  const index = useSignal(0);
  return <Canvas frames={frames} fps={settings.value.fps} playing={autoplays()} index={index} label={label} />;
}

interface Picking {
  readonly most: number;
  readonly picked: string | undefined;
  readonly pick: (name: string) => void;
}

function Map({
  map,
  picked,
  pick,
}: {
  readonly map: NetworkMap;
  readonly picked: string | undefined;
  readonly pick: (name: string) => void;
}) {
  const p = { most: map.most, picked, pick };
  return (
    <div class="map">
      <section aria-label="Text encoder">
        <h3>Text encoder</h3>
        <p class="muted small">{NETWORKS.text}</p>
        <Blocks blocks={map.text} {...p} />
      </section>
      <section class="unet" aria-label="UNet">
        <h3>UNet with motion modules</h3>
        <p class="muted small">{NETWORKS.unet}</p>
        <div class="u">
          <div class="side">
            <Blocks blocks={map.down} {...p} />
          </div>
          <div class="side right">
            <Blocks blocks={map.up.toReversed()} {...p} />
          </div>
          <div class="bottom">
            <Blocks blocks={map.mid} {...p} />
          </div>
        </div>
      </section>
      <section aria-label="VAE decoder">
        <h3>VAE decoder</h3>
        <p class="muted small">{NETWORKS.decoder}</p>
        <Blocks blocks={map.decoder} {...p} />
        {map.rest.length > 0 && <Blocks blocks={map.rest} {...p} />}
      </section>
    </div>
  );
}

function Blocks({ blocks, most, picked, pick }: { readonly blocks: readonly Block[] } & Picking) {
  return (
    <>
      {blocks.map((block) => (
        <div class="block" key={block.name}>
          <p>
            <span>{block.title}</span> <span class="muted">{block.ms.toFixed(1)} ms</span>
          </p>
          <div class="parts">
            {block.parts.map((part) => (
              <button
                key={part.name}
                type="button"
                class={`part ${part.kind}`}
                aria-pressed={part.name === picked}
                style={{ "--heat": Math.sqrt(part.ms / Math.max(most, 1e-9)) }}
                onClick={() => pick(part.name)}
              >
                {part.title} <small>{part.ms.toFixed(1)}</small>
              </button>
            ))}
          </div>
        </div>
      ))}
    </>
  );
}

function Details({ part, total }: { readonly part: Part; readonly total: number }) {
  const [label, setLabel] = useState<string | undefined>();
  const [source, setSource] = useState<string | undefined>();
  const section = useRef<HTMLElement>(null);
  useEffect(() => section.current?.scrollIntoView({ block: "nearest" }), [part.name]);
  const chosen = part.kernels.find((k) => k.label === label) ?? part.kernels[0];
  useEffect(() => {
    let here = true;
    setSource(undefined);
    if (chosen)
      void engine
        .call("source", chosen.label)
        .then((text) => here && setSource(text))
        .catch(() => undefined);
    return () => {
      here = false;
    };
  }, [chosen?.label]);
  return (
    <section class="details" aria-label={part.name} ref={section}>
      <h2>{part.title}</h2>
      <p>
        <code>{part.name}</code>
      </p>
      <p>{EXPLAINED[part.kind]}</p>
      <p class="muted">
        {part.ms.toFixed(1)} ms, {((100 * part.ms) / Math.max(total, 1e-9)).toFixed(1)} % of all; {count(part.flops)}{" "}
        arithmetic operations.
      </p>
      <div class="kernels" role="group" aria-label="Kernels">
        {part.kernels.map((k) => (
          <button key={k.label} type="button" aria-pressed={k === chosen} onClick={() => setLabel(k.label)}>
            <span>{k.label.replace(part.name, "…")}</span>
            <small>
              {k.ms.toFixed(2)} ms in {k.calls}
              {rate(k)}
            </small>
          </button>
        ))}
      </div>
      {source !== undefined && (
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
        <pre class="kernel-source" tabindex={0} aria-label={`WGSL of ${chosen?.label}`}>
          {source}
        </pre>
      )}
    </section>
  );
}

function rate({ flops, ms }: KernelTime): string {
  return flops > 0 && ms > 0.01 ? `, ${(flops / ms / 1e6).toFixed(1)} GFLOPS` : "";
}
