// What a clip follows besides its words: nothing, a path drawn on the picture, pictures for a control network, or pictures at
// chosen frames.

import { BUNDLED, BUNDLED_CONTROL, type Making } from "../engine/protocol.js";
import type { Settings } from "../state/defaults.js";
import { usage } from "../state/desk.js";
import { give, inputs } from "../state/inputs.js";
import { controlIn } from "../state/request.js";
import { change, settings, setter as set } from "../state/settings.js";
import { Choice, Range, Switch } from "./controls.js";
import { KeyFrames } from "./key-frames.js";
import { PathPad } from "./path-pad.js";
import { SourceInput } from "./source-input.js";
import { Span } from "./span.js";

type Networks = readonly (readonly [id: string, name: string])[];

/** The networks that a way of following takes: the bundled one goes with the bundled model alone. */
function networks(s: Settings, keys: boolean): Networks {
  const role = keys ? "sparse" : "control";
  const own = usage.value.models.filter((m) => m.role === role).map((m) => [m.id, m.name] as const);
  return s.model === BUNDLED && !keys ? [[BUNDLED_CONTROL, "Discs (demo)"], ...own] : own;
}

const WAYS: readonly (readonly [Settings["control"], string, string])[] = [
  ["none", "Nothing", "The sentence alone says where things are"],
  ["path", "A path", "Draw where the thing goes: it follows a disc along your line, as fast as you draw it"],
  ["pictures", "Pictures", "Control pictures, one for each frame or one for all: edges, poses, depths, discs"],
  ["keys", "Frames", "Pictures for chosen frames: SparseCtrl fills in those between"],
];

const MADE: readonly (readonly [Making, string])[] = [
  ["as they are", "as they are"],
  ["canny", "edges (Canny)"],
  ["softedge", "soft edges"],
  ["scribble", "lines of a drawing"],
  ["grey", "grey"],
  ["tile", "blurred tiles"],
];

export function Follow() {
  // What is followed: the bundled network goes with the bundled model alone.
  const s = { ...settings.value, control: controlIn(settings.value) };
  const [plain, sparse] = [networks(s, false), networks(s, true)];
  if (plain.length + sparse.length === 0) return null;
  const offered = WAYS.filter(([way]) => way === "none" || (way === "keys" ? sparse : plain).length > 0);
  const models = s.control === "keys" ? sparse : plain;
  return (
    <section class="group" aria-label="Follow">
      <Switch label="Follow" value={s.control} options={offered} onChange={(control) => follow(control, s)} />
      {s.control === "path" && <PathPad path={s.controlPath} size={s} disc={s.controlDisc} />}
      {s.control === "pictures" && (
        <SourceInput source={inputs.value.guide} label="Control pictures" onChange={(guide) => give({ guide })} />
      )}
      {s.control === "keys" && <KeyFrames frames={s.keyFrames} count={s.frames} />}
      {s.control !== "none" && (
        <>
          {(models.length > 1 || models[0]?.[0] !== BUNDLED_CONTROL) && (
            <Choice
              label="Network"
              tip="The control network that looks at the pictures"
              value={s.controlModel}
              options={models}
              onChange={set("controlModel")}
            />
          )}
          {s.control !== "path" && (
            <Choice
              label="Look at"
              tip="What is made of the pictures first: networks were trained on edges, drawings, grey or blurred pictures. Poses and depths have to be given ready-made."
              value={s.controlMade}
              options={MADE}
              onChange={set("controlMade")}
            />
          )}
          <Range
            label="Hold"
            tip="How strictly the pictures are followed: 0 not at all, 1 as the network was trained."
            value={s.controlScale}
            min={0}
            max={2}
            step={0.05}
            onChange={set("controlScale")}
          />
          {s.control === "path" && (
            <Range
              label="Disc"
              tip="Radius of the disc, in parts of the picture's shorter side: the thing comes out about as large."
              value={s.controlDisc}
              min={0.05}
              max={0.3}
              step={0.01}
              onChange={set("controlDisc")}
            />
          )}
          {s.control !== "keys" && (
            <Choice
              label="Detail"
              tip="In guess mode fine detail is followed gently, and under guidance only what the sentence asks for is controlled: for sentences that say little. It is ControlNet's: T2I-Adapters have none."
              value={s.controlGuess ? "guess" : "trained"}
              options={[
                ["trained", "as trained"],
                ["guess", "gently (guess mode)"],
              ]}
              onChange={(value) => change({ controlGuess: value === "guess" })}
            />
          )}
          <Span
            start={s.controlStart}
            end={s.controlEnd}
            onChange={(controlStart, controlEnd) => change({ controlStart, controlEnd })}
          />
        </>
      )}
    </section>
  );
}

/** Another way of following, with a network that takes it. */
function follow(control: Settings["control"], s: Settings): void {
  const models = networks(s, control === "keys");
  const [first] = models;
  const fits = control === "none" || !first || models.some(([id]) => id === s.controlModel);
  change({ control, ...(!fits && { controlModel: first[0] }) });
}
