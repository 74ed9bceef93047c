// The bar on top: name, tabs, the adapter, light or dark.

import { engine, facts, gpu, openGpu } from "../state/engine.js";
import { goTo, setTheme, tab, theme, type Tab } from "../state/view.js";
import { IconButton } from "./controls.js";
import { Icon } from "./icons.js";
import { bytes } from "./words.js";

const TABS: readonly (readonly [Tab, string])[] = [
  ["create", "Create"],
  ["models", "Models"],
  ["learn", "Learn"],
];

export function Header() {
  return (
    <header class="top">
      <a
        class="brand"
        href="#"
        onClick={(e) => (e.preventDefault(), goTo("create"))}
        aria-label="Kineograph, to the start"
      >
        <span class="mark" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
        Kineograph
      </a>
      <nav aria-label="Pages">
        {TABS.map(([id, text]) => (
          <a
            key={id}
            href={`#${id}`}
            aria-current={tab.value === id ? "page" : undefined}
            onClick={(e) => {
              e.preventDefault();
              goTo(id);
            }}
          >
            {text}
          </a>
        ))}
      </nav>
      <Adapter />
      <IconButton
        icon={theme.value === "dark" ? "sun" : "moon"}
        label={theme.value === "dark" ? "Light colours" : "Dark colours"}
        onClick={() => setTheme(theme.value === "dark" ? "light" : "dark")}
      />
    </header>
  );
}

function Adapter() {
  const g = gpu.value;
  if (g.state === "starting") return <span class="adapter">Looking for a graphics adapter…</span>;
  if (g.state === "missing")
    return (
      <button
        type="button"
        class="adapter warn"
        data-tip="Looks again for a graphics adapter"
        onClick={() => void openGpu()}
      >
        No WebGPU
      </button>
    );
  const { info } = g;
  const lines = [
    `${info.name}: ${info.kind === "cpu" ? "a software adapter, so everything is slow" : "a GPU"}; computes in ${info.f16 ? "f16 and f32" : "f32"}; buffers up to ${bytes(info.maxBuffer)}.`,
    facts.value && `${bytes(facts.value.weightBytes)} of weights are on it.`,
    "Press to give its memory back and start it anew.",
  ];
  return (
    <button
      type="button"
      class="adapter"
      aria-label={`Adapter ${info.name}; restart it`}
      data-tip={lines.filter(Boolean).join(" ")}
      onClick={() => {
        facts.value = undefined;
        void engine.call("restart", undefined).then(openGpu);
      }}
    >
      <Icon name="chip" size={16} />
      <span>{info.name.replace(/\s*\(.*/, "")}</span>
    </button>
  );
}
