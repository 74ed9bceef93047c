// Starts the page: shows it, opens the adapter, loads the model in the background so that the first clip begins at once.

import "./styles/index.css";
import { render } from "preact";
import { App } from "./ui/app.js";
import { openModels } from "./state/desk.js";
import { engine, facts, gpu, openGpu } from "./state/engine.js";
import { loadHistory } from "./state/history.js";
import { current } from "./state/jobs.js";
import { keepTitle } from "./state/title.js";
import { requestOf } from "./state/request.js";
import { settings } from "./state/settings.js";
import { fromLink } from "./state/share.js";

keepTitle();
render(<App />, document.getElementById("app")!);

if (location.hash.startsWith("#s=")) history.replaceState(null, "", location.pathname + location.search);
addEventListener("hashchange", () => {
  const linked = fromLink(location.hash);
  if (!linked) return;
  settings.value = linked;
  history.replaceState(null, "", location.pathname + location.search);
});

await Promise.all([openGpu(), openModels(), loadHistory()]);
if (gpu.value.state === "ready" && !current.value)
  try {
    facts.value = await engine.call("load", requestOf(settings.value, false));
  } catch {
    // Said when a clip is asked for, with the reason.
  }
