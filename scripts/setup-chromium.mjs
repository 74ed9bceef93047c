// Looks for the Chromium that the studio's tests drive. Where there is none, it says how to get it, and as root on Debian (a
// container, CI) installs Debian's, unless KINEOGRAPH_NO_SETUP=1. Plain Node without dependencies.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { parseOsRelease } from "./setup-webgpu.mjs";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

function find() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find((path) => existsSync(path));
}

function run(program, ...args) {
  console.error(`  $ ${program} ${args.join(" ")}`);
  const child = spawnSync(program, args, {
    encoding: "utf8",
    maxBuffer: 2 ** 27,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  if (child.status === 0) return true;
  console.error(
    `${child.stdout ?? ""}${child.stderr ?? ""}${child.error?.message ?? ""}`.split("\n").slice(-15).join("\n"),
  );
  return false;
}

function main() {
  const found = find();
  if (found) {
    console.error(`Chromium: ${found}`);
    return 0;
  }
  const os = existsSync("/etc/os-release") ? parseOsRelease(readFileSync("/etc/os-release", "utf8")) : {};
  if (os.ID !== "debian" || process.getuid?.() !== 0 || process.env.KINEOGRAPH_NO_SETUP === "1") {
    console.error(
      os.ID === "debian"
        ? "No Chromium on this machine. Run as root: apt-get install chromium"
        : "No Chromium on this machine: install Chromium or Chrome (Ubuntu's package is a snap; Google's .deb works), or name one in CHROMIUM.",
    );
    return 1;
  }
  console.error("Installing Debian's Chromium for the studio's tests (KINEOGRAPH_NO_SETUP=1 prevents this):");
  const done =
    run("apt-get", "update") &&
    run("apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-liberation") &&
    find() !== undefined;
  if (!done) console.error("That failed; the studio's tests need a Chromium.");
  return done ? 0 : 1;
}

process.exit(main());
