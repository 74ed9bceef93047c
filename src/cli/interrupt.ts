// Ctrl-C as an AbortSignal: the first asks the run to stop and clean up, the second ends the process at once.

import { Interrupted } from "./failure.js";

/** Runs `body` with a signal that aborts on SIGINT or SIGTERM; what is finished all the same is finished. */
export async function interruptible<R>(body: (signal: AbortSignal) => Promise<R>): Promise<R> {
  const controller = new AbortController();
  const listen = (signal: "SIGINT" | "SIGTERM") => () => {
    const reason = new Interrupted(signal);
    if (controller.signal.aborted) process.exit(reason.status);
    controller.abort(reason);
  };
  const handlers = { SIGINT: listen("SIGINT"), SIGTERM: listen("SIGTERM") };
  process.on("SIGINT", handlers.SIGINT);
  process.on("SIGTERM", handlers.SIGTERM);
  try {
    return await body(controller.signal);
  } finally {
    process.off("SIGINT", handlers.SIGINT);
    process.off("SIGTERM", handlers.SIGTERM);
  }
}
