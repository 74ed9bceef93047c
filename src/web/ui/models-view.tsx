// The models in this browser: add, look through, check, delete; how much room is left.

import { useRef } from "preact/hooks";
import { addFiles, deleteModel, importing, usage, verifyModel } from "../state/desk.js";
import type { Manifest } from "../store/read.js";
import { chosenFiles } from "./drop.js";
import { IconButton } from "./controls.js";
import { HubPanel } from "./hub-panel.js";
import { Icon } from "./icons.js";
import { Importing, UnfinishedList } from "./importing.js";
import { ago, bytes, count } from "./words.js";

const ROLES = {
  model: "Models",
  motion: "Motion modules",
  lora: "LoRAs",
  vae: "VAEs",
  control: "Control",
  sparse: "Key frames (SparseCtrl)",
  "ip-adapter": "IP-Adapters",
  "image-encoder": "Image encoders",
  embedding: "Embeddings",
} as const;

export function ModelsView() {
  const { models, usedBytes, freeBytes } = usage.value;
  const busy = importing.value;
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  return (
    <div class="page models">
      <h1>Models</h1>
      <p class="lead">
        Drop checkpoints, motion modules, LoRAs and VAEs anywhere on this page: diffusers folders, Stable Diffusion 1.5
        in one file, AnimateDiff and AnimateLCM files; <code>.safetensors</code>, <code>.ckpt</code>, <code>.pt</code>,{" "}
        <code>.bin</code>. They stay in this browser, and are here on your next visit.
      </p>
      <div class="dropzone">
        {busy?.from === "files" ? (
          <Importing state={busy} />
        ) : (
          <>
            <button
              type="button"
              class="primary"
              data-tip="One or several checkpoint files"
              disabled={busy !== undefined}
              onClick={() => files.current?.click()}
            >
              <Icon name="file" /> Choose files
            </button>
            <button
              type="button"
              class="secondary"
              data-tip="A model folder in diffusers' layout"
              disabled={busy !== undefined}
              onClick={() => folder.current?.click()}
            >
              <Icon name="folder" /> Choose a folder
            </button>
            <span class="muted">or drop them here</span>
          </>
        )}
        <input
          ref={files}
          type="file"
          multiple
          hidden
          aria-label="Model files"
          accept=".safetensors,.ckpt,.pt,.pth,.bin,.json"
          onChange={(e) => {
            void addFiles(chosenFiles(e.currentTarget.files));
            e.currentTarget.value = "";
          }}
        />
        <input
          ref={folder}
          type="file"
          hidden
          aria-label="Model folder"
          {...{ webkitdirectory: true }}
          onChange={(e) => {
            void addFiles(chosenFiles(e.currentTarget.files));
            e.currentTarget.value = "";
          }}
        />
      </div>
      <div class="room">
        <meter aria-label="Storage used" min={0} max={Math.max(1, usedBytes + freeBytes)} value={usedBytes} />
        <p class="muted small">
          {bytes(usedBytes)} used by this page, {bytes(freeBytes)} left in this browser.
        </p>
      </div>
      <UnfinishedList />
      <HubPanel />
      <section aria-labelledby="bundled-model">
        <h2 id="bundled-model">With the page</h2>
        <ul class="cards">
          <li class="model">
            <strong>Shapes (demo)</strong>
            <span class="muted small">
              Trained from scratch for Kineograph: five shapes in eight colours that move or change their size, in four
              places. 128 × 128. It has the architecture of the real thing in small.
            </span>
          </li>
        </ul>
      </section>
      {(Object.keys(ROLES) as (keyof typeof ROLES)[]).map((role) => {
        const of = models.filter((m) => m.role === role);
        if (of.length === 0) return null;
        return (
          <section key={role} aria-label={ROLES[role]}>
            <h2>{ROLES[role]}</h2>
            <ul class="cards">
              {of.map((m) => (
                <Card key={m.id} model={m} />
              ))}
            </ul>
          </section>
        );
      })}
    </div>
  );
}

function Card({ model: m }: { readonly model: Manifest }) {
  return (
    <li class="model">
      <strong>{m.name}</strong>
      <span class="muted small">
        {m.description} · {count(m.parameters)} parameters · {bytes(m.bytes)} · {ago(m.added)}
      </span>
      <span class="tools">
        <IconButton
          icon="check"
          label={`Check ${m.name}`}
          tip="Compares the stored bytes with the checksums taken when they were added"
          disabled={importing.value !== undefined}
          onClick={() => void verifyModel(m.id, m.name)}
        />
        <IconButton
          icon="trash"
          label={`Delete ${m.name}`}
          tip="Deletes it from this browser; your own files stay where they are"
          onClick={() => confirm(`Delete ${m.name} (${bytes(m.bytes)}) from this browser?`) && void deleteModel(m.id)}
        />
      </span>
    </li>
  );
}
