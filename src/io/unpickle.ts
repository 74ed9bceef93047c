// A pickle virtual machine that builds plain values (None, bool, int, float, str, bytes, tuple, list, dict) and, through an
// explicit table, what its caller allows. It never calls anything else: a name outside the table ends the reading.
// Opcodes of protocols 0 to 5: https://github.com/python/cpython/blob/main/Lib/pickletools.py.

import { CheckpointError, quoted } from "./errors.js";

/** A value that a pickle holds. Tuples are frozen arrays; dicts keep their order. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly PickleValue[]
  | Map<PickleValue, PickleValue>
  | PickleObject;

/** Base of what the caller's functions make (tensors, storages, types). */
export abstract class PickleObject {
  abstract readonly kind: string;
}

/** A name from a module. It stands for itself until it is called. */
export class PickleGlobal extends PickleObject {
  readonly kind = "global";
  readonly name: string;
  readonly call: ((args: readonly PickleValue[]) => PickleValue) | undefined;

  constructor(name: string, call?: (args: readonly PickleValue[]) => PickleValue) {
    super();
    this.name = name;
    this.call = call;
  }
}

export interface UnpickleOptions {
  /** For error messages. */
  readonly name: string;
  /** What `module.name` stands for; undefined where it is not allowed. */
  readonly global: (name: string) => PickleGlobal | undefined;
  /** What a persistent id stands for. */
  readonly persistent: (id: PickleValue) => PickleValue;
}

/** Bytes of a pickle; Stable Diffusion's has 0.2 MB. */
export const MAX_PICKLE = 32 * 2 ** 20;
const MAX_OPCODES = 2_000_000;
const MAX_MEMO = 500_000;
const MAX_STACK = 200_000;
const MAX_INTEGER_BYTES = 256;
const MAX_LINE = 100_000;

const MARK = Symbol("mark");
type Slot = PickleValue | typeof MARK;

/**
 * Reads one pickle.
 * @throws CheckpointError for names not allowed (it says which), for damage, and for more work than a checkpoint asks for
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): PickleValue {
  if (bytes.length > MAX_PICKLE)
    throw new CheckpointError(
      `${options.name}: a pickle of ${bytes.length} bytes is no checkpoint's (at most ${MAX_PICKLE})`,
    );
  return new Machine(bytes, options).run();
}

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #options: UnpickleOptions;
  readonly #stack: Slot[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #at = 0;

  constructor(bytes: Uint8Array, options: UnpickleOptions) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#options = options;
  }

  run(): PickleValue {
    for (let n = 0; n < MAX_OPCODES; n++) {
      const op = this.#u8();
      if (op === 0x2e) return this.#pop();
      this.#step(op);
      if (this.#stack.length > MAX_STACK || this.#memo.size > MAX_MEMO)
        throw this.#error("holds more values than a checkpoint has");
    }
    throw this.#error("has more instructions than a checkpoint needs");
  }

  #error(what: string): CheckpointError {
    return new CheckpointError(`${this.#options.name}: its pickle ${what}`);
  }

  #take(n: number): number {
    if (n > this.#bytes.length - this.#at) throw this.#error("is cut off");
    const at = this.#at;
    this.#at += n;
    return at;
  }

  #u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  #u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  #u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  #u64(): number {
    const n = this.#view.getBigUint64(this.#take(8), true);
    if (n > BigInt(this.#bytes.length)) throw this.#error("is cut off");
    return Number(n);
  }
  #raw(n: number): Uint8Array {
    const at = this.#take(n);
    return this.#bytes.subarray(at, at + n);
  }
  #text(n: number): string {
    return new TextDecoder().decode(this.#raw(n));
  }
  #latin(n: number): string {
    return new TextDecoder("latin1").decode(this.#raw(n));
  }
  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0 || end - this.#at > MAX_LINE) throw this.#error("has a line without an end");
    const line = this.#text(end - this.#at);
    this.#at = end + 1;
    return line;
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }
  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) throw this.#error("is damaged: it takes a value where there is none");
    return value;
  }
  /** The last `n` values, in the order in which they were pushed. */
  #pops(n: number): PickleValue[] {
    return Array.from({ length: n }, () => this.#pop()).toReversed();
  }
  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw this.#error("is damaged: it takes a value where there is none");
    return value;
  }
  /** Everything above the last mark, which goes too. */
  #popMark(): PickleValue[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw this.#error("is damaged: a mark is missing");
    const values = this.#stack.splice(mark).slice(1);
    return values.filter((v): v is PickleValue => v !== MARK);
  }

  #tuple(values: PickleValue[]): void {
    this.#push(Object.freeze(values));
  }
  #list(values: PickleValue[]): void {
    this.#push(values);
  }
  #dict(values: readonly PickleValue[]): void {
    const dict = new Map<PickleValue, PickleValue>();
    this.#push(dict);
    this.#setItems(values);
  }
  #setItems(values: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map) || values.length % 2 !== 0)
      throw this.#error("is damaged: items are set on what is no dict");
    for (let i = 0; i < values.length; i += 2) dict.set(values[i]!, values[i + 1]!);
  }
  #append(values: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list) || Object.isFrozen(list))
      throw this.#error("is damaged: items are appended to what is no list");
    for (const v of values) list.push(v);
  }
  #remember(index: number): void {
    this.#memo.set(index, this.#top());
  }
  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#error(`is damaged: value ${index} is used before it exists`);
    this.#push(value);
  }

  #global(module: PickleValue, name: PickleValue): PickleGlobal {
    if (typeof module !== "string" || typeof name !== "string") throw this.#error("is damaged: a name is no text");
    const full = `${module}.${name}`;
    const found = this.#options.global(full);
    if (!found)
      throw this.#error(
        `wants ${quoted(full)}, which is no part of a tensor and is not run: use a .safetensors file of this model, or, if you trust the file, load it in PyTorch and save its state_dict alone`,
      );
    return found;
  }
  #call(callee: PickleValue, args: PickleValue): void {
    if (!(callee instanceof PickleGlobal) || !callee.call)
      throw this.#error(`calls ${callee instanceof PickleGlobal ? quoted(callee.name) : "a value"}, which is not run`);
    if (!Array.isArray(args)) throw this.#error("is damaged: a call has no arguments");
    this.#push(callee.call(args));
  }

  #integer(bytes: Uint8Array): number | bigint {
    if (bytes.length > MAX_INTEGER_BYTES) throw this.#error("has an integer that no checkpoint needs");
    let v = 0n;
    for (let i = bytes.length - 1; i >= 0; i--) v = (v << 8n) | BigInt(bytes[i]!);
    if (bytes.length > 0 && bytes.at(-1)! >= 128) v -= 1n << BigInt(8 * bytes.length);
    return narrow(v);
  }
  #decimal(text: string): number | bigint {
    if (!/^[+-]?\d{1,600}$/.test(text)) throw this.#error(`has ${quoted(text, 40)} for a number`);
    return narrow(BigInt(text.replace(/^\+/, "")));
  }

  #step(op: number): void {
    switch (op) {
      case 0x80: // PROTO
        if (this.#u8() > 5) throw this.#error("is of a protocol later than 5");
        return;
      case 0x95: // FRAME
        return void this.#take(8);
      case 0x28: // MARK
        return void this.#stack.push(MARK);
      case 0x30: // POP
        if (this.#stack.pop() === undefined) throw this.#error("is damaged: it takes a value where there is none");
        return;
      case 0x31: // POP_MARK
        return void this.#popMark();
      case 0x32: // DUP
        return this.#push(this.#top());

      case 0x4e: // NONE
        return this.#push(null);
      case 0x88: // NEWTRUE
        return this.#push(true);
      case 0x89: // NEWFALSE
        return this.#push(false);
      case 0x49: {
        // INT; 00 and 01 are protocol 0's booleans
        const line = this.#line();
        return this.#push(line === "00" ? false : line === "01" ? true : this.#decimal(line));
      }
      case 0x4c: // LONG
        return this.#push(this.#decimal(this.#line().replace(/L$/, "")));
      case 0x4a: // BININT
        return this.#push(this.#view.getInt32(this.#take(4), true));
      case 0x4b: // BININT1
        return this.#push(this.#u8());
      case 0x4d: // BININT2
        return this.#push(this.#u16());
      case 0x8a: // LONG1
        return this.#push(this.#integer(this.#raw(this.#u8())));
      case 0x8b: // LONG4
        return this.#push(this.#integer(this.#raw(this.#u32())));
      case 0x46: {
        // FLOAT
        const line = this.#line();
        const v = Number(line.replace(/^([+-]?)inf$/, "$1Infinity"));
        if (Number.isNaN(v) && !/^[+-]?nan$/.test(line)) throw this.#error(`has ${quoted(line, 40)} for a number`);
        return this.#push(v);
      }
      case 0x47: // BINFLOAT
        return this.#push(this.#view.getFloat64(this.#take(8), false));

      case 0x53: // STRING
        return this.#push(this.#line().replace(/^(['"])(.*)\1$/s, "$2"));
      case 0x54: // BINSTRING
        return this.#push(this.#latin(this.#u32()));
      case 0x55: // SHORT_BINSTRING
        return this.#push(this.#latin(this.#u8()));
      case 0x56: // UNICODE, raw-unicode-escape
        return this.#push(
          this.#line().replaceAll(/\\u([0-9a-f]{4})/gi, (_, hex: string) =>
            String.fromCharCode(Number.parseInt(hex, 16)),
          ),
        );
      case 0x58: // BINUNICODE
        return this.#push(this.#text(this.#u32()));
      case 0x8c: // SHORT_BINUNICODE
        return this.#push(this.#text(this.#u8()));
      case 0x8d: // BINUNICODE8
        return this.#push(this.#text(this.#u64()));
      case 0x42: // BINBYTES
        return this.#push(this.#raw(this.#u32()));
      case 0x43: // SHORT_BINBYTES
        return this.#push(this.#raw(this.#u8()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#push(this.#raw(this.#u64()));

      case 0x29: // EMPTY_TUPLE
        return this.#tuple([]);
      case 0x85: // TUPLE1
        return this.#tuple([this.#pop()]);
      case 0x86: // TUPLE2
        return this.#tuple(this.#pops(2));
      case 0x87: // TUPLE3
        return this.#tuple(this.#pops(3));
      case 0x74: // TUPLE
        return this.#tuple(this.#popMark());
      case 0x5d: // EMPTY_LIST
        return this.#list([]);
      case 0x6c: // LIST
        return this.#list(this.#popMark());
      case 0x61: // APPEND
        return this.#append([this.#pop()]);
      case 0x65: // APPENDS
        return this.#append(this.#popMark());
      case 0x7d: // EMPTY_DICT
        return this.#dict([]);
      case 0x64: // DICT
        return this.#dict(this.#popMark());
      case 0x73: // SETITEM
        return this.#setItems(this.#pops(2));
      case 0x75: // SETITEMS
        return this.#setItems(this.#popMark());

      case 0x70: // PUT
        return this.#remember(Number(this.#decimal(this.#line())));
      case 0x71: // BINPUT
        return this.#remember(this.#u8());
      case 0x72: // LONG_BINPUT
        return this.#remember(this.#u32());
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.size);
      case 0x67: // GET
        return this.#recall(Number(this.#decimal(this.#line())));
      case 0x68: // BINGET
        return this.#recall(this.#u8());
      case 0x6a: // LONG_BINGET
        return this.#recall(this.#u32());

      case 0x63: // GLOBAL
        return this.#push(this.#global(this.#line(), this.#line()));
      case 0x93: {
        // STACK_GLOBAL
        const name = this.#pop();
        return this.#push(this.#global(this.#pop(), name));
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const args = this.#pop();
        return this.#call(this.#pop(), args);
      }
      case 0x69: // INST
        this.#call(this.#global(this.#line(), this.#line()), this.#popMark());
        return;
      case 0x6f: {
        // OBJ
        const [callee, ...args] = this.#popMark();
        return this.#call(callee ?? null, args);
      }
      case 0x62: {
        // BUILD: attributes. OrderedDict's (_metadata) say nothing about tensors; ParameterDict's _parameters are its items.
        const attributes = this.#pop();
        const target = this.#top();
        if (!(target instanceof Map)) throw this.#error("sets attributes on what is no dict");
        const parameters = attributes instanceof Map ? attributes.get("_parameters") : undefined;
        if (parameters instanceof Map) for (const [key, value] of parameters) target.set(key, value);
        return;
      }
      case 0x50: // PERSID
        return this.#push(this.#options.persistent(this.#line()));
      case 0x51: // BINPERSID
        return this.#push(this.#options.persistent(this.#pop()));
      default:
        throw this.#error(`is damaged, or holds more than tensors (instruction 0x${op.toString(16)})`);
    }
  }
}

function narrow(v: bigint): number | bigint {
  return v >= BigInt(Number.MIN_SAFE_INTEGER) && v <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(v) : v;
}
