// What a torch pickle may build: storages, tensors over them, and the handful of functions that PyTorch's own state dicts
// name. Source: torch/_utils.py (_rebuild_tensor_v2, _v3, _rebuild_parameter), torch/storage.py.

import { CheckpointError, quoted } from "./errors.js";
import { storedBytes, type StoredType } from "./stored-types.js";
import { PickleGlobal, PickleObject, type PickleValue } from "./unpickle.js";

const STORAGE_TYPES: Readonly<Record<string, StoredType>> = {
  "torch.DoubleStorage": "F64",
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
};

const DTYPES: Readonly<Record<string, StoredType>> = {
  "torch.float64": "F64",
  "torch.float32": "F32",
  "torch.float16": "F16",
  "torch.bfloat16": "BF16",
  "torch.int64": "I64",
  "torch.int32": "I32",
  "torch.int16": "I16",
  "torch.int8": "I8",
  "torch.uint64": "U64",
  "torch.uint32": "U32",
  "torch.uint16": "U16",
  "torch.uint8": "U8",
  "torch.bool": "BOOL",
  "torch.float8_e4m3fn": "F8_E4M3",
  "torch.float8_e5m2": "F8_E5M2",
};

const UNTYPED = "torch.storage.UntypedStorage";

/** A run of bytes in the file; `dtype` is undefined where only its tensors know. */
export class TorchStorage extends PickleObject {
  readonly kind = "storage";
  readonly key: string;
  readonly dtype: StoredType | undefined;
  readonly bytes: number;

  constructor(key: string, dtype: StoredType | undefined, bytes: number) {
    super();
    this.key = key;
    this.dtype = dtype;
    this.bytes = bytes;
  }

  /** From the persistent id `("storage", type, key, location, elements)`. */
  static fromId(file: string, id: PickleValue): TorchStorage {
    const [tag, type, key, , elements] = Array.isArray(id) ? (id as readonly PickleValue[]) : [];
    if (
      tag !== "storage" ||
      !(type instanceof PickleGlobal) ||
      typeof key !== "string" ||
      !isCount(elements) ||
      !/^\w+$/.test(key)
    )
      throw new CheckpointError(`${file}: its pickle refers to something that is no storage`);
    const dtype = STORAGE_TYPES[type.name];
    if (!dtype && type.name !== UNTYPED)
      throw new CheckpointError(`${file}: a storage of the type ${quoted(type.name)} cannot be read`);
    return new TorchStorage(key, dtype, elements * (dtype ? storedBytes(dtype) : 1));
  }

  /** This storage, when another reference to it agrees. */
  as(file: string, other: TorchStorage): TorchStorage {
    if (other.bytes > this.bytes)
      throw new CheckpointError(`${file}: the storage ${quoted(this.key)} has two sizes; the file is damaged`);
    return other;
  }
}

/** A tensor: elements `offset + Σ index · stride` of a storage. */
export class TorchTensor extends PickleObject {
  readonly kind = "tensor";
  readonly storage: TorchStorage;
  readonly dtype: StoredType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly elements: number;
  /** Elements of the storage from the first used to the last used, both included. */
  readonly extent: number;
  readonly contiguous: boolean;

  constructor(
    storage: TorchStorage,
    dtype: StoredType,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    super();
    this.storage = storage;
    this.dtype = dtype;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
    this.elements = shape.reduce((n, s) => n * s, 1);
    this.extent = this.elements === 0 ? 0 : shape.reduce((n, s, d) => n + (s - 1) * strides[d]!, 1);
    let expected = 1;
    let contiguous = true;
    for (let d = shape.length - 1; d >= 0; d--) {
      if (shape[d] !== 1 && strides[d] !== expected) contiguous = false;
      expected *= shape[d]!;
    }
    this.contiguous = contiguous || this.elements === 0;
  }
}

const MAX_RANK = 32;
/** Elements that a view may have beyond its storage's (an expanded scalar, for one). */
const MAX_EXPANDED = 2 ** 20;

function isCount(v: unknown): v is number {
  return typeof v === "number" && Number.isSafeInteger(v) && v >= 0;
}

function rebuild(file: string, dtype: StoredType | undefined, args: readonly PickleValue[]): TorchTensor {
  const [storage, offset, shape, strides] = args;
  const fail = (what: string) =>
    new CheckpointError(`${file}: its pickle describes a tensor ${what}; the file is damaged`);
  if (!(storage instanceof TorchStorage)) throw fail("without a storage");
  const type = dtype ?? storage.dtype;
  if (!type) throw fail("without a type");
  if (!isCount(offset) || !Array.isArray(shape) || !Array.isArray(strides)) throw fail("without a shape");
  const sizes = (shape as readonly PickleValue[]).filter(isCount);
  const steps = (strides as readonly PickleValue[]).filter(isCount);
  if (
    sizes.length !== shape.length ||
    steps.length !== strides.length ||
    sizes.length !== steps.length ||
    sizes.length > MAX_RANK
  )
    throw fail("without a shape");
  const tensor = new TorchTensor(storage, type, offset, sizes, steps);
  const room = Math.floor(storage.bytes / storedBytes(type));
  if (tensor.elements > 0 && !(offset + tensor.extent <= room)) throw fail("that lies outside its storage");
  if (!(tensor.elements <= Math.max(room, MAX_EXPANDED))) throw fail("much larger than its storage");
  return tensor;
}

/** What a module's name stands for in a torch pickle, or undefined where it is not allowed. */
export function torchGlobal(file: string, name: string): PickleGlobal | undefined {
  const plain = name.replace(/^torch\._(tensor|utils)\./, "torch._utils.");
  if (Object.hasOwn(STORAGE_TYPES, name) || Object.hasOwn(DTYPES, name)) return new PickleGlobal(name);
  if (name === UNTYPED || name === "torch.UntypedStorage") return new PickleGlobal(UNTYPED);
  switch (plain) {
    case "collections.OrderedDict":
      return new PickleGlobal(name, (args) => orderedDict(file, args));
    case "torch._utils._rebuild_tensor":
    case "torch._utils._rebuild_tensor_v2":
      return new PickleGlobal(name, (args) => rebuild(file, undefined, args));
    case "torch._utils._rebuild_tensor_v3":
      return new PickleGlobal(name, (args) => {
        const type = args[6];
        const dtype = type instanceof PickleGlobal ? DTYPES[type.name] : undefined;
        if (!dtype)
          throw new CheckpointError(
            `${file}: a tensor of the type ${quoted(type instanceof PickleGlobal ? type.name : "?")} cannot be read`,
          );
        return rebuild(file, dtype, args);
      });
    case "torch._utils._rebuild_parameter":
    case "torch._utils._rebuild_parameter_with_state":
      return new PickleGlobal(name, ([data]) => {
        if (!(data instanceof TorchTensor))
          throw new CheckpointError(`${file}: its pickle has a parameter that is no tensor`);
        return data;
      });
    case "torch.nn.modules.container.ParameterDict":
      // Textual inversion's first files; its parameters are attributes.
      return new PickleGlobal(name, (args) => orderedDict(file, args));
    case "__builtin__.set":
    case "builtins.set":
      return new PickleGlobal(name, ([items]) => (Array.isArray(items) ? (items as readonly PickleValue[]) : []));
    case "_codecs.encode":
      // How protocol 2 writes bytes.
      return new PickleGlobal(name, ([text, encoding]) => {
        if (typeof text !== "string" || encoding !== "latin1")
          throw new CheckpointError(`${file}: its pickle has bytes in an encoding it should not use`);
        return Uint8Array.from(text, (c) => c.charCodeAt(0));
      });
    case "torch.Size":
      return new PickleGlobal(name, ([sizes]) => sizes ?? []);
  }
  // PyTorch Lightning names its callbacks' classes as keys beside the state dict. A name alone does nothing; calling it is refused.
  return /^(pytorch_lightning|lightning)\./.test(name) ? new PickleGlobal(name) : undefined;
}

/** `OrderedDict()` or `OrderedDict([[key, value], …])`. */
function orderedDict(file: string, args: readonly PickleValue[]): Map<PickleValue, PickleValue> {
  const dict = new Map<PickleValue, PickleValue>();
  const items = args[0] ?? [];
  const pairs = items instanceof Map ? [...items] : items;
  if (!Array.isArray(pairs)) throw new CheckpointError(`${file}: its pickle has a dict of what are no pairs`);
  for (const pair of pairs as readonly PickleValue[]) {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw new CheckpointError(`${file}: its pickle has a dict of what are no pairs`);
    const [key, value] = pair as readonly PickleValue[];
    dict.set(key!, value!);
  }
  return dict;
}
