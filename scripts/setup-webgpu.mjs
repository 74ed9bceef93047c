// Looks for a WebGPU adapter, in a process of its own, since a broken driver may take it down. Where there is none it says
// what this system lacks and gives the commands; as root on Debian or Ubuntu (a container, CI) it runs them, unless
// KINEOGRAPH_NO_SETUP=1. Plain Node without dependencies: it runs before anything is built.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PACKAGES = "mesa-vulkan-drivers libvulkan1";

const PROBE = `
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) process.exit(3);
  const device = await adapter.requestDevice();
  const { description, device: name, vendor } = adapter.info;
  console.log([description, name, vendor].find((s) => s !== "") ?? "unnamed");
  device.destroy();
  process.exit(0);`;

/** { adapter } where Dawn makes a device, else { problem }: what it said. */
export function probe() {
  const child = spawnSync(process.execPath, ["--input-type=module", "--eval", PROBE], {
    cwd: ROOT,
    encoding: "utf8",
    timeout: 60_000,
    env: { XDG_RUNTIME_DIR: "/tmp", ...process.env },
  });
  if (child.status === 0) return { adapter: child.stdout.trim() };
  if (/Cannot find (package|module) 'webgpu'/.test(child.stderr))
    return { problem: "the npm package `webgpu` (Dawn, which brings WebGPU to Node) is not installed: run npm ci" };
  if (child.signal) return { problem: `the driver crashed the process that tried it (${child.signal})` };
  const said = child.stderr.split("\n").find((line) => /VK_ERROR|Found no drivers|DynamicIndexing/.test(line));
  return {
    problem:
      said?.replace(/^Warning: (vkCreateInstance: )?/, "").replace(/[.!]+$/, "") ??
      "Dawn found no Vulkan, Metal or Direct3D 12 driver that it accepts",
  };
}

/** Fields of an os-release file. */
export function parseOsRelease(text) {
  const fields = text.split("\n").map((line) => /^([A-Z_]+)="?([^"]*)"?$/.exec(line.trim()));
  return Object.fromEntries(fields.filter((f) => f !== null).map(([, key, value]) => [key, value]));
}

/**
 * What to do on a system: `commands` for its shell (as root), `hint` in words; `apt` where this script can run them.
 * @param os fields of /etc/os-release, `{}` elsewhere
 */
export function advice(platform, os, mirror = "http://deb.debian.org/debian") {
  const family = `${os.ID ?? ""} ${os.ID_LIKE ?? ""}`.split(" ");
  if (platform === "darwin")
    return {
      apt: false,
      hint: "macOS brings Metal with it: update macOS (13 or newer), and run outside a virtual machine without a GPU.",
    };
  if (platform === "win32")
    return {
      apt: false,
      hint: "Windows brings Direct3D 12 with it: install the graphics card's current driver, or, without a card, Windows' optional feature “Graphics Tools”.",
    };
  if (os.ID === "debian" && Number(os.VERSION_ID) < 12)
    return { apt: false, hint: `Debian ${os.VERSION_ID}'s Mesa is too old for Dawn: use Debian 12 or newer.` };
  if (os.ID === "debian" && os.VERSION_ID === "12")
    return {
      apt: true,
      backports: {
        file: "/etc/apt/sources.list.d/kineograph-backports.list",
        line: `deb ${mirror} bookworm-backports main`,
      },
      hint: "Debian 12's own Mesa (22.3) is too old for Dawn; bookworm-backports has a newer one.",
      commands: [`apt-get update`, `apt-get install -y --no-install-recommends -t bookworm-backports ${PACKAGES}`],
    };
  if (family.includes("debian") || family.includes("ubuntu"))
    return {
      apt: true,
      hint: "Mesa's Vulkan drivers are missing.",
      commands: ["apt-get update", `apt-get install -y --no-install-recommends ${PACKAGES}`],
    };
  if (family.includes("fedora") || family.includes("rhel"))
    return {
      apt: false,
      hint: "Mesa's Vulkan drivers are missing.",
      commands: ["dnf install -y mesa-vulkan-drivers vulkan-loader"],
    };
  if (family.includes("arch"))
    return {
      apt: false,
      hint: "A Vulkan driver is missing; vulkan-swrast runs on any CPU.",
      commands: ["pacman -S --needed vulkan-icd-loader vulkan-swrast"],
    };
  if (family.includes("suse") || family.includes("opensuse"))
    return {
      apt: false,
      hint: "Mesa's Vulkan drivers are missing.",
      commands: ["zypper install -y libvulkan1 libvulkan_lvp"],
    };
  if (os.ID === "alpine")
    return {
      apt: false,
      hint: "Dawn's builds for Node want glibc, which Alpine has not: use a Debian or Ubuntu image.",
    };
  return {
    apt: false,
    hint: "Install your distribution's Vulkan driver: Mesa 23 or newer (its lavapipe driver runs on any CPU).",
  };
}

/** Whether apt already knows bookworm-backports, and the Debian mirror that this machine uses. */
function aptSources() {
  const folder = "/etc/apt/sources.list.d";
  const files = [
    "/etc/apt/sources.list",
    ...(existsSync(folder) ? readdirSync(folder).map((f) => `${folder}/${f}`) : []),
  ];
  const lines = files
    .filter((f) => /\.(list|sources)$/.test(f) && existsSync(f))
    .flatMap((f) => readFileSync(f, "utf8").split("\n"))
    .filter((line) => !line.trim().startsWith("#"));
  return {
    hasBackports: lines.some((line) => line.includes("bookworm-backports")),
    mirror: /https?:\/\/\S+\/debian\/?(?=\s|$)/.exec(lines.join("\n"))?.[0].replace(/\/$/, ""),
  };
}

function run(command) {
  console.error(`  $ ${command}`);
  const [program, ...args] = command.split(" ");
  const child = spawnSync(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 2 ** 27,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  if (child.status === 0) return true;
  console.error(
    `${child.stdout ?? ""}${child.stderr ?? ""}${child.error?.message ?? ""}`
      .trimEnd()
      .split("\n")
      .slice(-15)
      .join("\n"),
  );
  return false;
}

function main() {
  const found = probe();
  if (found.adapter) return 0;
  const os =
    process.platform === "linux" && existsSync("/etc/os-release")
      ? parseOsRelease(readFileSync("/etc/os-release", "utf8"))
      : {};
  const sources = aptSources();
  const { hint, commands = [], apt, backports } = advice(process.platform, os, sources.mirror);
  console.error(`No WebGPU adapter on this machine: ${found.problem}.`);
  if (found.problem.endsWith("npm ci")) return 1;
  console.error(hint);
  const addSource = backports && !sources.hasBackports ? backports : undefined;
  const shown = [...(addSource ? [`echo '${addSource.line}' > ${addSource.file}`] : []), ...commands];
  const root = process.getuid?.() === 0;
  if (!apt || !root || process.env.KINEOGRAPH_NO_SETUP === "1") {
    if (shown.length > 0) console.error(`${root ? "Run" : "Run as root"}:\n${shown.map((c) => `  ${c}`).join("\n")}`);
    return 1;
  }
  console.error(
    "Installing Mesa's Vulkan drivers, which include one for machines without a GPU (KINEOGRAPH_NO_SETUP=1 prevents this):",
  );
  if (addSource) {
    console.error(`  $ ${shown[0]}`);
    writeFileSync(addSource.file, `${addSource.line}\n`);
  }
  if (!commands.every(run)) {
    console.error("That command failed; nothing works without an adapter.");
    return 1;
  }
  const after = probe();
  console.error(after.adapter ? `WebGPU adapter: ${after.adapter}` : `Still no WebGPU adapter: ${after.problem}.`);
  return after.adapter ? 0 : 1;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href)
  process.exit(main());
