// Imports: the one under way, and those that were cut off.

import { deleteModel, importing, usage, type Importing as State } from "../state/desk.js";
import { goOn } from "../state/hub.js";
import type { Unfinished } from "../store/journal.js";
import { IconButton } from "./controls.js";
import { bytes, left } from "./words.js";

/** How far the import under way is. */
export function Importing({ state }: { readonly state: State }) {
  return (
    <div class="importing">
      <p role="status">
        {state.name === ""
          ? state.from === "hub"
            ? "Beginning the download…"
            : "Looking through the files…"
          : state.name}
      </p>
      <progress aria-label="Progress" value={state.doneBytes} max={state.totalBytes} />
      <p class="muted small">{amount(state)}</p>
      <button
        type="button"
        class="secondary"
        data-tip="Stops it; what is there is kept, and can be gone on with"
        onClick={() => state.controller.abort()}
      >
        Stop
      </button>
    </div>
  );
}

/** Bytes, speed and time left; the speed once it is known. */
function amount({ name, doneBytes, totalBytes, checking, since, fromBytes }: State): string {
  if (name === "") return "";
  const seconds = (performance.now() - since) / 1000;
  const speed = (doneBytes - fromBytes) / seconds;
  const known = seconds > 1 && speed > 0;
  return [
    `${bytes(doneBytes)} of ${bytes(totalBytes)}`,
    ...(checking ? ["comparing the checksum"] : []),
    ...(known && !checking ? [`${bytes(speed)}/s`, `about ${left((totalBytes - doneBytes) / speed)} left`] : []),
  ].join(", ");
}

/** What was cut off: go on, or delete. */
export function UnfinishedList() {
  const busy = importing.value !== undefined;
  // The one under way in this tab is shown as such.
  const list = usage.value.unfinished.filter((u) => !(busy && u.underWay));
  if (list.length === 0) return null;
  return (
    <section aria-labelledby="unfinished">
      <h2 id="unfinished">Cut off</h2>
      <ul class="cards">
        {list.map((u) => (
          <Card key={u.id} item={u} busy={busy} />
        ))}
      </ul>
    </section>
  );
}

function Card({ item: u, busy }: { readonly item: Unfinished; readonly busy: boolean }) {
  const there = `${bytes(u.doneBytes)} of ${bytes(u.bytes)} are here.`;
  const how = u.underWay
    ? "It is being added in another tab of this page."
    : u.hub
      ? "The rest can be downloaded."
      : `Give the same ${u.form} again, and it goes on from there.`;
  return (
    <li class="model">
      <strong>{u.name}</strong>
      <span class="muted small">
        {there} {how}
      </span>
      <span class="tools">
        {u.hub && (
          <button
            type="button"
            class="secondary"
            aria-label={`Go on with ${u.name}`}
            data-tip={`Asks ${new URL(u.hub.endpoint).host} for the bytes that are missing`}
            disabled={busy || u.underWay}
            onClick={() => void goOn(u.id)}
          >
            Go on
          </button>
        )}
        <IconButton
          icon="trash"
          label={`Delete ${u.name}, cut off`}
          tip="Gives its room back; your own files stay where they are"
          disabled={u.underWay}
          onClick={() => void deleteModel(u.id)}
        />
      </span>
    </li>
  );
}
