// Messages at the page's edge.

import { hush, toasts } from "../state/toasts.js";
import { IconButton } from "./controls.js";
import { sentence } from "./words.js";

export function Toasts() {
  return (
    <div class="toasts" role="log" aria-label="Messages" aria-live="polite">
      {toasts.value.map(({ id, text, kind }) => (
        <div key={id} class={kind === "error" ? "toast error" : "toast"} role={kind === "error" ? "alert" : undefined}>
          <p>{sentence(text)}</p>
          <IconButton icon="close" label="Dismiss" onClick={() => hush(id)} />
        </div>
      ))}
    </div>
  );
}
