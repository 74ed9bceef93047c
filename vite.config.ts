// How the studio's page is built: from src/web to dist/studio, as static files that work below any path. The bundled model
// is copied beside it; while developing it is served from where it lies.

import { cpSync, createReadStream, existsSync, readdirSync, statSync } from "node:fs";
import { join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { policy } from "./src/cli/studio-policy.js";

const root = fileURLToPath(new URL(".", import.meta.url));
const MODEL = "models/shapes";
const FOLDERS = ["base", "motion-lcm", "motion-teacher", "control-blob"];

/** Files of the bundled model that a run may read, relative to its folder, with forward slashes. */
function modelFiles(): string[] {
  const below = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, MODEL, folder), { recursive: true, withFileTypes: true })
      .filter((e) => e.isFile())
      .map((e) =>
        normalize(join(e.parentPath, e.name))
          .slice(join(root, MODEL, "/").length)
          .replaceAll("\\", "/"),
      ),
  );
  return [...below, "lcm-lora.safetensors"].toSorted();
}

function bundledModel(): Plugin {
  let out = "";
  let building = false;
  return {
    name: "bundled-model",
    configResolved(config) {
      out = config.build.outDir;
      building = config.command === "build";
    },
    configureServer(server) {
      server.middlewares.use(`/${MODEL}/`, (request, response, next) => {
        const path = join(root, MODEL, normalize(decodeURIComponent(request.url ?? "").split("?")[0] ?? ""));
        if (!path.startsWith(join(root, MODEL)) || !existsSync(path) || !statSync(path).isFile()) return next();
        response.setHeader("content-length", statSync(path).size);
        createReadStream(path).pipe(response);
      });
    },
    closeBundle() {
      if (!building) return;
      for (const file of modelFiles()) cpSync(join(root, MODEL, file), join(out, MODEL, file));
    },
  };
}

/** The page's own policy; workers have theirs from the server. */
const pagePolicy: Plugin = {
  name: "page-policy",
  transformIndexHtml: (html) => html.replace("__POLICY__", policy()),
};

/** The library's modules only define things: of its barrel src/index.ts each bundle keeps what it uses. */
const treeshake = { moduleSideEffects: (id: string) => !/\/(src\/(?!web\/)|kernels\/|shaders\/)/.test(id) };

/** Says nothing of how long plugins took. */
const checks = { pluginTimings: false };

export default defineConfig({
  root: join(root, "src/web"),
  base: "./",
  define: { __MODEL_FILES__: JSON.stringify(modelFiles()) },
  plugins: [bundledModel(), pagePolicy],
  worker: { format: "es", rolldownOptions: { treeshake, checks } },
  build: {
    rolldownOptions: { treeshake, checks },
    outDir: join(root, "dist/studio"),
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
  },
});
