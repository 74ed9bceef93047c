// The page as a whole: header, tabs, messages, and the files that are dropped or pasted anywhere on it.

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { cancel, current } from "../state/jobs.js";
import { tab } from "../state/view.js";
import { droppedFiles, takeFiles } from "./drop.js";
import { Header } from "./header.js";
import { History } from "./history-panel.js";
import { Icon } from "./icons.js";
import { ModelsView } from "./models-view.js";
import { Action, Prompt } from "./prompt.js";
import { SettingsPanel } from "./settings.js";
import { Stage } from "./stage.js";
import { Toasts } from "./toasts.js";
import { Tooltip } from "./tooltip.js";

const dragging = signal(false);

function useFilesFromOutside(): void {
  useEffect(() => {
    const hasFiles = (e: DragEvent) => e.dataTransfer?.types.includes("Files") ?? false;
    const over = (e: DragEvent) => {
      if (!hasFiles(e)) return;
      e.preventDefault();
      dragging.value = true;
    };
    const leave = (e: DragEvent) => {
      if (e.relatedTarget === null) dragging.value = false;
    };
    const drop = (e: DragEvent) => {
      if (!e.dataTransfer || !hasFiles(e)) return;
      e.preventDefault();
      dragging.value = false;
      void droppedFiles(e.dataTransfer).then(takeFiles);
    };
    const paste = (e: ClipboardEvent) => {
      const files = [...(e.clipboardData?.files ?? [])];
      if (files.length > 0) void takeFiles(files.map((file) => ({ path: file.name, file })));
    };
    const key = (e: KeyboardEvent) => {
      if (e.key === "Escape" && current.value && !e.defaultPrevented && !e.isComposing) cancel(current.value);
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    addEventListener("paste", paste);
    addEventListener("keydown", key);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
      removeEventListener("paste", paste);
      removeEventListener("keydown", key);
    };
  }, []);
}

type View = () => JSX.Element;
const learnView = signal<View | undefined>(undefined);

/** The Learn tab is loaded when it is first opened. */
function Learn() {
  useEffect(() => {
    void import("../learn/learn-view.js").then(({ LearnView }) => (learnView.value = LearnView));
  }, []);
  const LearnView = learnView.value;
  return LearnView ? <LearnView /> : <p class="page muted">Loading…</p>;
}

export function App() {
  useFilesFromOutside();
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(e) => {
          e.preventDefault();
          document.getElementById("content")?.focus();
        }}
      >
        To the content
      </a>
      <Header />
      <main id="content" tabindex={-1} class={tab.value}>
        {tab.value === "create" && (
          <>
            <div class="controls">
              <div class="scroll">
                <Prompt />
                <SettingsPanel />
              </div>
              <Action />
            </div>
            <section class="stage" aria-label="Stage">
              <Stage />
            </section>
            <History />
          </>
        )}
        {tab.value === "models" && <ModelsView />}
        {tab.value === "learn" && <Learn />}
      </main>
      <Toasts />
      <Tooltip />
      {dragging.value && (
        <div class="dropping" aria-hidden="true">
          <p>
            <Icon name="download" size={28} />
            Drop models to add them, or a clip to restore its settings
          </p>
        </div>
      )}
    </>
  );
}
