// From what a torch pickle holds to one flat list of named tensors: training checkpoints keep the state dict under a key of
// its own beside optimiser states and settings, distributed training puts `module.` before every name.

import { CheckpointError, quoted } from "./errors.js";
import { TorchTensor } from "./torch-values.js";
import type { PickleValue } from "./unpickle.js";

/** Keys under which checkpoints keep their weights, tried in this order, also one inside another. */
const WRAPPERS = ["state_dict", "model", "model_state_dict", "module", "controlnet"] as const;
const MAX_DEPTH = 8;
const MAX_VALUES = 1_000_000;
/** Characters of a text that is kept. */
const MAX_TEXT = 200;

/**
 * The tensors of a checkpoint by name: wrappers opened, nested dicts joined with dots, `module.` removed where every name
 * has it. `notes` says what was left out, `texts` holds short strings beside the tensors (an embedding's name, for one).
 * @throws CheckpointError when there are no tensors
 */
export function stateDict(
  file: string,
  value: PickleValue,
): {
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  readonly texts: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
} {
  const notes: string[] = [];
  let inner = value;
  for (let depth = 0; depth < MAX_DEPTH && inner instanceof Map; depth++) {
    const dict = inner;
    const wrapper = WRAPPERS.find((key) => dict.get(key) instanceof Map);
    if (wrapper === undefined) break;
    const beside = [...dict.keys()].filter((k) => k !== wrapper).map(keyText);
    if (beside.length > 0)
      notes.push(
        `only ${quoted(wrapper)} is read; beside it: ${beside.slice(0, 8).join(", ")}${beside.length > 8 ? ", …" : ""}`,
      );
    inner = dict.get(wrapper)!;
  }
  const texts = new Map<string, string>();
  if (inner instanceof TorchTensor) return { tensors: new Map([["tensor", inner]]), texts, notes };

  const tensors = new Map<string, TorchTensor>();
  const others: string[] = [];
  let seen = 0;
  const collect = (v: PickleValue, name: string, depth: number): void => {
    if (++seen > MAX_VALUES || depth > MAX_DEPTH)
      throw new CheckpointError(`${file}: it nests more values than a checkpoint has`);
    if (v instanceof TorchTensor) {
      if (tensors.has(name)) throw new CheckpointError(`${file} has two tensors called ${quoted(name)}`);
      tensors.set(name, v);
    } else if (v instanceof Map)
      for (const [key, item] of v) collect(item, name === "" ? keyText(key) : `${name}.${keyText(key)}`, depth + 1);
    else if (Array.isArray(v) && v.some((item) => item instanceof TorchTensor))
      (v as readonly PickleValue[]).forEach((item, i) => collect(item, `${name}.${i}`, depth + 1));
    else {
      others.push(name);
      if (typeof v === "string" && v.length <= MAX_TEXT && depth === 1) texts.set(name, v);
    }
  };
  collect(inner, "", 0);
  if (tensors.size === 0) throw new CheckpointError(`${file} holds no tensors: it is no checkpoint`);
  if (others.length > 0)
    notes.push(
      `no tensors, left out: ${others
        .slice(0, 8)
        .map((n) => quoted(n, 60))
        .join(", ")}${others.length > 8 ? `, … (${others.length})` : ""}`,
    );
  if (![...tensors.keys()].every((name) => name.startsWith("module."))) return { tensors, texts, notes };
  notes.push('every name began with "module." (distributed training), which was removed');
  return { tensors: new Map([...tensors].map(([name, t]) => [name.slice("module.".length), t])), texts, notes };
}

function keyText(key: PickleValue): string {
  return typeof key === "string" || typeof key === "number" || typeof key === "bigint" ? String(key) : "?";
}
