// Models by name: what a name on the Hugging Face Hub comes to, how large it is, and then, if it is wanted, the download.

import { useState } from "preact/hooks";
import { hubNameText, parseHubName, SHORT_NAMES } from "../../io/hub-names.js";
import type { HubPlan } from "../hub/protocol.js";
import { importing, usage } from "../state/desk.js";
import { download, endpoint, hub, lookUp, token, type What } from "../state/hub.js";
import { Choice, Fold, Row } from "./controls.js";
import { Icon } from "./icons.js";
import { Importing } from "./importing.js";
import { bytes, count, sentence } from "./words.js";

export function HubPanel() {
  const [text, setText] = useState("");
  const h = hub.value;
  const busy = importing.value;
  const host = new URL(endpoint()).host;
  return (
    <section class="hub" aria-labelledby="hub">
      <h2 id="hub">From the Hugging Face Hub</h2>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (text.trim() !== "") void lookUp(text);
        }}
      >
        <Row
          label="Name"
          look="wide"
          tip="owner/name, with @revision and /file where you want them; a page's address; or a short name as on the command line"
        >
          {(control) => (
            <input
              {...control}
              type="text"
              list="short-names"
              placeholder="owner/name"
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              value={text}
              onInput={(e) => setText(e.currentTarget.value)}
            />
          )}
        </Row>
        <datalist id="short-names">
          {SHORT_NAMES.map((s) => (
            <option key={s.name} value={s.name}>
              {s.what}
            </option>
          ))}
        </datalist>
        {h.state === "asking" ? (
          <button type="button" class="secondary" data-tip="Asks no further" onClick={() => h.controller.abort()}>
            Stop asking
          </button>
        ) : (
          <button
            type="submit"
            class="secondary"
            data-tip={`Asks ${host} which files it takes, and downloads nothing yet`}
            disabled={text.trim() === ""}
          >
            Look it up
          </button>
        )}
      </form>
      <p class="muted small">
        Looking up and downloading ask {host} for files. Nothing else leaves your machine: no sentence, no picture.
      </p>
      <Fold title="Gated or private" note={token.value === "" ? undefined : "a token is given"}>
        <Row
          label="Token"
          look="wide"
          tip="An access token of your account there that may read; accept the model's conditions on its page first"
        >
          {(control) => (
            <input
              {...control}
              type="password"
              autocomplete="off"
              value={token.value}
              onInput={(e) => (token.value = e.currentTarget.value)}
            />
          )}
        </Row>
        <p class="muted small">Kept in memory until this page is closed, stored nowhere, and sent to {host} alone.</p>
      </Fold>
      <div role="status">{h.state === "asking" && <p>Asking {host}…</p>}</div>
      {busy?.from === "hub" ? (
        <div class="plan">
          <Importing state={busy} />
        </div>
      ) : (
        h.state === "found" && <Found plan={h.plan} what={h.what} />
      )}
      {h.state === "failed" && (
        <p class="outcome bad" role="alert">
          {sentence(h.message)}
        </p>
      )}
    </section>
  );
}

/** What would be downloaded. */
function Found({ plan, what }: { readonly plan: HubPlan; readonly what: What }) {
  const { hub: origin, files, others, title } = plan;
  const stored = usage.value.models.some((m) => m.hub?.name === origin.name && m.hub.commit === origin.commit);
  const page = `${origin.endpoint}/${origin.repo}`;
  return (
    <div class="plan">
      {files.length > 0 ? (
        <>
          <p>
            <strong>{title}</strong>: {files.length === 1 ? "one file" : `${files.length} files`}, {bytes(plan.bytes)};
            this browser has {bytes(usage.value.freeBytes)} left. Its licence is on{" "}
            <a href={page} target="_blank" rel="noreferrer">
              its page
            </a>
            .
          </p>
          <p class="small" role="status">
            {what.state === "reading" && "Reading what it is…"}
            {what.state === "known" && sentence(`${what.description}, ${count(what.parameters)} parameters`)}
            {what.state === "unknown" && "What it is will be seen once it is here."}
          </p>
          {what.state === "refused" && (
            <p class="outcome bad" role="alert">
              {sentence(what.message)}
            </p>
          )}
          <ul class="files small" aria-label="Files" tabindex={0}>
            {files.map((f) => (
              <li key={f.path}>
                <span>{f.path}</span> <span class="muted">{bytes(f.size)}</span>
              </li>
            ))}
          </ul>
        </>
      ) : (
        <p>
          <strong>{title}</strong> has several files that could be meant; choose one.
        </p>
      )}
      {others.length > 0 && (
        <Choice
          label={files.length > 0 ? "Or one of its other files" : "One of its files"}
          tip="Looks that file up instead"
          value=""
          options={[["", "Choose…"], ...others.map((f) => [f.path, `${f.path} (${bytes(f.size)})`] as const)]}
          onChange={(path) => path !== "" && void lookUp(hubNameText({ ...parseHubName(origin.name)!, path }))}
        />
      )}
      {stored && <p class="muted small">It is in this browser already.</p>}
      <div class="doings">
        {files.length > 0 && (
          <button
            type="button"
            class="primary"
            data-tip="Downloads these files into this browser; it can be stopped and gone on with"
            disabled={stored || importing.value !== undefined || what.state === "reading" || what.state === "refused"}
            onClick={() => void download(plan)}
          >
            <Icon name="download" /> Download {bytes(plan.bytes)}
          </button>
        )}
        <button
          type="button"
          class="secondary"
          data-tip="Puts this away; nothing is downloaded"
          onClick={() => (hub.value = { state: "idle" })}
        >
          Not now
        </button>
      </div>
    </div>
  );
}
