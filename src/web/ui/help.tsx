// What to do where there is no WebGPU, for the browser at hand.

import { openGpu, type Gpu } from "../state/engine.js";

interface Advice {
  readonly browser: string;
  readonly steps: readonly string[];
}

/** By what the browser says it is; the order matters, since most of them say they are Safari too. */
function advice(agent: string): Advice {
  const version = (pattern: RegExp) => Number(pattern.exec(agent)?.[1] ?? 0);
  if (/Firefox\//.test(agent)) {
    const n = version(/Firefox\/(\d+)/);
    return {
      browser: `Firefox ${n}`,
      steps: [
        "On Windows and macOS Firefox has WebGPU from version 141 and 145 on: update it.",
        "On Linux, or where it stays off, open about:config, set dom.webgpu.enabled to true, and start Firefox anew.",
      ],
    };
  }
  if (/iPhone|iPad/.test(agent))
    return {
      browser: "Safari on iOS",
      steps: ["WebGPU comes with iOS and iPadOS 26: update in Settings, General, Software Update."],
    };
  if (/Edg\/|Chrome\/|Chromium\//.test(agent)) {
    const n = version(/(?:Edg|Chrome|Chromium)\/(\d+)/);
    const linux = /Linux/.test(agent) && !/Android/.test(agent);
    return {
      browser: `${/Edg\//.test(agent) ? "Edge" : "Chrome"} ${n}`,
      steps: [
        ...(n < 121 ? ["Update it: WebGPU needs version 113, on Android 121."] : []),
        "In its settings, under System, switch “Use graphics acceleration when available” on, and start it anew.",
        ...(linux
          ? [
              "On Linux, start it with --enable-unsafe-webgpu --enable-features=Vulkan; with --use-webgpu-adapter=swiftshader also where there is no GPU.",
            ]
          : []),
        "Its page chrome://gpu tells why WebGPU is off; often it is an old graphics driver.",
      ],
    };
  }
  if (/Safari\//.test(agent))
    return {
      browser: "Safari",
      steps: [
        "WebGPU comes with Safari 26: update macOS.",
        "In Safari 18, Settings, Feature Flags has a switch “WebGPU”.",
      ],
    };
  return { browser: "this browser", steps: ["Use a current Chrome, Edge, Firefox or Safari."] };
}

export function Help({ gpu }: { readonly gpu: Extract<Gpu, { state: "missing" }> }) {
  const { browser, steps } = advice(navigator.userAgent);
  const insecure = !isSecureContext;
  return (
    <article class="help">
      <h1>{gpu.name === "NoAdapter" ? "No graphics adapter" : "No WebGPU yet"}</h1>
      <p>
        Kineograph computes on your graphics adapter through WebGPU, and {gpu.message}.
        {!insecure && ` In ${browser} this helps:`}
      </p>
      {insecure ? (
        <p>
          WebGPU is only there on secure pages: open this one by https, or on http://localhost as{" "}
          <code>kineograph studio</code> serves it.
        </p>
      ) : (
        <ol>
          {steps.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
      )}
      <p>
        On the command line everything works without a browser, and without a GPU too:{" "}
        <code>npx kineograph generate "a red star moving left on a night sky"</code>
      </p>
      <button type="button" class="secondary" onClick={() => void openGpu()}>
        Look again
      </button>
    </article>
  );
}
