// Starts the page: shows it, opens the adapter, loads the model in the background so that the first clip begins at once.

import "./styles/index.css";
import { render } from "preact";
import { App } from "./ui/app.js";
import { openModels, settleModels } from "./state/desk.js";
import { openGpu } from "./state/engine.js";
import { loadHistory } from "./state/history.js";
import { keepLimits } from "./state/limits.js";
import { keepTitle } from "./state/title.js";
import { preload } from "./state/preload.js";
import { settings } from "./state/settings.js";
import { fromLink } from "./state/share.js";

keepTitle();
render(<App />, document.getElementById("app")!);

if (location.hash.startsWith("#s=")) history.replaceState(null, "", location.pathname + location.search);
addEventListener("hashchange", () => {
  const linked = fromLink(location.hash);
  if (!linked) return;
  settings.value = linked;
  settleModels();
  history.replaceState(null, "", location.pathname + location.search);
});

await Promise.all([openGpu(), openModels(), loadHistory()]);
keepLimits();
await preload();
