// Calls from the page to a worker: one request, events on the way, one answer or error. Cancelling aborts the call's signal
// on the other side. Knows nothing of what is called.

/** One kind of call: what it takes, what it answers, what it tells meanwhile. */
export interface Call<Arguments, Result, Event = never> {
  readonly args: Arguments;
  readonly result: Result;
  readonly event: Event;
}

/** Calls by name. */
export type CallMap<C> = { readonly [K in keyof C]: Call<unknown, unknown, unknown> };

/** What a handler is given beside its arguments. */
export interface Context<Event> {
  readonly signal: AbortSignal;
  readonly emit: (event: Event, transfer?: Transferable[]) => void;
}

export type Handlers<C extends CallMap<C>> = {
  readonly [K in keyof C]: (
    args: C[K]["args"],
    context: Context<C[K]["event"]>,
  ) => Promise<C[K]["result"] | Transfer<C[K]["result"]>>;
};

/** A result whose buffers move to the page instead of being copied. */
export class Transfer<R> {
  readonly value: R;
  readonly list: Transferable[];

  constructor(value: R, list: Transferable[]) {
    this.value = value;
    this.list = list;
  }
}

type Request =
  | { readonly id: number; readonly name: string; readonly args: unknown }
  | { readonly id: number; readonly abort: true };

type Reply =
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };

/** An error on the other side, with its name. */
export class RemoteError extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/** Name of the error that every open call gets when the worker dies. */
export const CRASH = "WorkerCrash";

/** What of a worker's global scope is used here; the DOM's types do not know it. */
interface Scope {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent<Request>) => void): void;
}

/** Answers calls; to be called once in a worker. */
export function serve<C extends CallMap<C>>(handlers: Handlers<C>): void {
  const scope = globalThis as unknown as Scope;
  const running = new Map<number, AbortController>();
  const send = (reply: Reply, transfer: Transferable[] = []) => scope.postMessage(reply, transfer);
  scope.addEventListener("message", ({ data }) => {
    if ("abort" in data) {
      running.get(data.id)?.abort(new DOMException("cancelled", "AbortError"));
      return;
    }
    const { id, name, args } = data;
    const controller = new AbortController();
    running.set(id, controller);
    const handler = handlers[name as keyof C];
    handler(args, {
      signal: controller.signal,
      emit: (event, transfer) => send({ id, event }, transfer),
    })
      .then(
        (result) =>
          result instanceof Transfer ? send({ id, result: result.value }, result.list) : send({ id, result }),
        (error: unknown) => {
          const { name: kind, message } = error instanceof Error ? error : new Error(String(error));
          send({ id, error: { name: kind, message } });
        },
      )
      .finally(() => running.delete(id));
  });
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
  onEvent(event: unknown): void;
}

/** How a call is made. */
export interface CallOptions<Event> {
  readonly onEvent?: (event: Event) => void;
  readonly signal?: AbortSignal | undefined;
  readonly transfer?: Transferable[];
}

/** The page's end. Starts its worker at the first call, and anew after it died or was stopped. */
export class Client<C extends CallMap<C>> {
  readonly #start: () => Worker;
  #worker: Worker | undefined;
  #next = 1;
  readonly #pending = new Map<number, Pending>();

  constructor(start: () => Worker) {
    this.#start = start;
  }

  /** @throws RemoteError with the name and message of what was thrown there, or named CRASH. */
  call<K extends keyof C & string>(
    name: K,
    args: C[K]["args"],
    options: CallOptions<C[K]["event"]> = {},
  ): Promise<C[K]["result"]> {
    const worker = (this.#worker ??= this.#open());
    const id = this.#next++;
    const { signal } = options;
    return new Promise<C[K]["result"]>((resolve, reject) => {
      if (signal?.aborted) return reject(new RemoteError("AbortError", "cancelled"));
      const abort = () => worker.postMessage({ id, abort: true } satisfies Request);
      const settle = () => {
        this.#pending.delete(id);
        signal?.removeEventListener("abort", abort);
      };
      this.#pending.set(id, {
        resolve: (value) => {
          settle();
          resolve(value as C[K]["result"]);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
        onEvent: (event) => options.onEvent?.(event as C[K]["event"]),
      });
      signal?.addEventListener("abort", abort);
      worker.postMessage({ id, name, args } satisfies Request, options.transfer ?? []);
    });
  }

  /** Ends the worker; open calls fail with CRASH. The next call starts another. */
  stop(reason = "it was stopped"): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    const open = Array.from(this.#pending.values());
    for (const pending of open) pending.reject(new RemoteError(CRASH, `the worker that computes ended: ${reason}`));
  }

  #open(): Worker {
    const worker = this.#start();
    worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
      const pending = this.#pending.get(data.id);
      if (!pending) return;
      if ("event" in data) pending.onEvent(data.event);
      else if ("error" in data) pending.reject(new RemoteError(data.error.name, data.error.message));
      else pending.resolve(data.result);
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      if (worker === this.#worker) this.stop(event.message || "its script could not be loaded");
    });
    return worker;
  }
}
