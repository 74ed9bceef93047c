// The model of a clip, its motion module and LoRAs.

import { BUNDLED, BUNDLED_LORA } from "../engine/protocol.js";
import { usage } from "../state/desk.js";
import { isDistilled } from "../state/defaults.js";
import { chooseModel } from "../state/limits.js";
import { change, settings, setter as set } from "../state/settings.js";
import { goTo } from "../state/view.js";
import { Choice, IconButton, Range } from "./controls.js";
import { Icon } from "./icons.js";

export function Model() {
  const s = settings.value;
  const { models } = usage.value;
  const of = (role: string) => models.filter((m) => m.role === role).map((m) => [m.id, m.name] as const);
  const name = (id: string) =>
    id === BUNDLED_LORA ? "Distilled for 4 steps" : (models.find((m) => m.id === id)?.name ?? "gone");
  const distilled = isDistilled(s.scheduler);
  const loras = s.loras.filter((l) => l.id !== BUNDLED_LORA || (s.model === BUNDLED && distilled));
  const unused = of("lora").filter(([id]) => !s.loras.some((l) => l.id === id));
  return (
    <section class="group" aria-label="Model">
      <Choice
        label="Model"
        tip="The picture model: the demo that comes with this page, or one of yours."
        value={s.model}
        options={[[BUNDLED, "Shapes (demo)"], ...of("model")]}
        onChange={chooseModel}
      />
      <Choice
        label="Motion"
        tip="The motion module, which makes an animation of single pictures."
        value={s.motion}
        options={[["", "The model's own"], ...of("motion")]}
        onChange={set("motion")}
      />
      {loras.map((l) => (
        <div class="lora" key={l.id}>
          <Range
            label={name(l.id)}
            tip="Weight of this LoRA: 0 leaves it out, 1 is as it was made. The weights are merged anew when it changes."
            value={l.weight}
            min={0}
            max={2}
            step={0.05}
            onChange={(weight) =>
              change({ loras: s.loras.map((other) => (other.id === l.id ? { ...other, weight } : other)) })
            }
          />
          {l.id !== BUNDLED_LORA && (
            <IconButton
              icon="close"
              label={`Take off ${name(l.id)}`}
              onClick={() => change({ loras: s.loras.filter((other) => other.id !== l.id) })}
            />
          )}
        </div>
      ))}
      {unused.length > 0 && (
        <Choice
          label="Add a LoRA"
          tip="Puts a stored LoRA on the model"
          value=""
          options={[["", "Choose…"], ...unused]}
          onChange={(id) => id !== "" && change({ loras: [...s.loras, { id, weight: 1 }] })}
        />
      )}
      {of("embedding").map(([id, text]) => (
        <Choice
          key={id}
          label={text}
          tip="An embedding (textual inversion): in use, its name is a word that prompts understand."
          value={s.embeddings.includes(id) ? "on" : "off"}
          options={[
            ["on", "its name is a word"],
            ["off", "not in use"],
          ]}
          onChange={(to) =>
            change({ embeddings: [...s.embeddings.filter((other) => other !== id), ...(to === "on" ? [id] : [])] })
          }
        />
      ))}
      <button
        type="button"
        class="quiet wide"
        data-tip="Your own checkpoints, motion modules, LoRAs"
        onClick={() => goTo("models")}
      >
        <Icon name="plus" size={15} /> Add models
      </button>
    </section>
  );
}
