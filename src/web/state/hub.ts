// Models by their names on the Hugging Face Hub, from the page's side. Nothing is asked until the user asks: the worker that
// speaks to the hub is started by the first look-up.

import { signal } from "@preact/signals";
import type { ImportEvent } from "../desk/protocol.js";
import type { HubCalls, HubPlan } from "../hub/protocol.js";
import { Client } from "../rpc.js";
import { finishDownload, follow, importing, refreshModels } from "./desk.js";
import { gpu } from "./engine.js";
import { settings } from "./settings.js";
import { say } from "./toasts.js";

const worker = new Client<HubCalls>(
  () => new Worker(new URL("../hub/hub-worker.ts", import.meta.url), { type: "module", name: "hub" }),
);

/** What was looked up. */
export type HubState =
  | { readonly state: "idle" }
  | { readonly state: "asking"; readonly controller: AbortController }
  | { readonly state: "failed"; readonly message: string }
  | { readonly state: "found"; readonly plan: HubPlan; readonly what: What };

/** What is known of what was found: its headers are read after its list. */
export type What =
  | { readonly state: "reading" | "unknown" }
  | { readonly state: "known"; readonly description: string; readonly parameters: number }
  | { readonly state: "refused"; readonly message: string };

export const hub = signal<HubState>({ state: "idle" });
/** For gated and private repositories; kept until the page is closed, and nowhere else. */
export const token = signal("");

/** Where the hub is: as the page's server says. */
export function endpoint(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="kineograph-hub"]')!.content;
}

function access() {
  const given = token.value.trim();
  return { endpoint: endpoint(), token: given === "" ? undefined : given };
}

/** Asks the hub what a name comes to. */
export async function lookUp(text: string): Promise<void> {
  const controller = new AbortController();
  hub.value = { state: "asking", controller };
  const g = gpu.value;
  const { precision } = settings.value;
  const half = precision === "f16" || (precision === "auto" && g.state === "ready" && g.info.f16);
  try {
    const plan = await worker.call("lookUp", { text, half, ...access() }, { signal: controller.signal });
    const tell = (what: What) => (hub.value = { state: "found", plan, what });
    tell({ state: plan.files.length > 0 ? "reading" : "unknown" });
    if (plan.files.length > 0) void describe(plan, controller.signal).then((what) => isShown(plan) && tell(what));
  } catch (error) {
    hub.value = controller.signal.aborted ? { state: "idle" } : { state: "failed", message: (error as Error).message };
  }
}

function isShown(plan: HubPlan): boolean {
  return hub.value.state === "found" && hub.value.plan === plan;
}

async function describe(plan: HubPlan, stop: AbortSignal): Promise<What> {
  try {
    const what = await worker.call("describe", { plan, ...access() }, { signal: stop });
    return what ? { state: "known", ...what } : { state: "unknown" };
  } catch (error) {
    return { state: "refused", message: (error as Error).message };
  }
}

/** Downloads what was looked up. */
export function download(plan: HubPlan): Promise<void> {
  return take((call) => worker.call("fetch", { plan, ...access() }, call));
}

/** Goes on with a download that was cut off. */
export function goOn(id: string): Promise<void> {
  return take((call) => worker.call("goOn", { id, ...access() }, call));
}

type Call = { readonly signal: AbortSignal; readonly onEvent: (event: ImportEvent) => void };

async function take(body: (call: Call) => Promise<string>): Promise<void> {
  if (importing.value) return say("Files are being added already; wait until they are.", "error");
  const call = follow("", "hub");
  void navigator.storage.persist?.();
  try {
    await finishDownload(await body(call));
    hub.value = { state: "idle" };
  } catch (error) {
    if (call.signal.aborted) say("Stopped. What has come is kept under Models: press Go on there, or delete it.");
    else say((error as Error).message, "error");
  } finally {
    importing.value = undefined;
    await refreshModels();
  }
}
