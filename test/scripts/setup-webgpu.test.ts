// The set-up script: what it advises on each system, and that it says so plainly where there is no adapter.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

interface Advice {
  readonly apt: boolean;
  readonly hint: string;
  readonly commands?: readonly string[];
  readonly backports?: { readonly file: string; readonly line: string };
}

const script = fileURLToPath(new URL("../../scripts/setup-webgpu.mjs", import.meta.url));
const { advice, parseOsRelease } = (await import(script)) as {
  readonly advice: (platform: string, os: Record<string, string>, mirror?: string) => Advice;
  readonly parseOsRelease: (text: string) => Record<string, string>;
};

function run(env: NodeJS.ProcessEnv): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [script], { encoding: "utf8", env: { ...process.env, ...env } });
}

describe("setup-webgpu", () => {
  it("reads os-release with and without quotes", () => {
    expect(
      parseOsRelease('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n# no field\n'),
    ).toEqual({
      PRETTY_NAME: "Debian GNU/Linux 12 (bookworm)",
      ID: "debian",
      VERSION_ID: "12",
    });
  });

  it("sends Debian 12 to backports, by the mirror in use", () => {
    const a = advice("linux", { ID: "debian", VERSION_ID: "12" }, "http://mirror.example/debian");
    expect(a.apt).toBe(true);
    expect(a.backports?.line).toBe("deb http://mirror.example/debian bookworm-backports main");
    expect(a.commands?.at(-1)).toContain("-t bookworm-backports mesa-vulkan-drivers");
  });

  it("uses plain apt on later Debian, Debian without a number, Ubuntu and its kin", () => {
    for (const os of [
      { ID: "debian", VERSION_ID: "13" },
      { ID: "debian" },
      { ID: "ubuntu", VERSION_ID: "24.04" },
      { ID: "pop", ID_LIKE: "ubuntu debian" },
    ]) {
      const a = advice("linux", os);
      expect(a.apt).toBe(true);
      expect(a.backports).toBeUndefined();
      expect(a.commands?.at(-1)).toBe("apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1");
    }
  });

  it("has a way for other systems, and installs nothing there", () => {
    const others: [string, Record<string, string>, RegExp][] = [
      ["linux", { ID: "debian", VERSION_ID: "11" }, /use Debian 12/],
      ["linux", { ID: "fedora" }, /dnf install/],
      ["linux", { ID: "manjaro", ID_LIKE: "arch" }, /pacman/],
      ["linux", { ID: "alpine" }, /glibc/],
      ["linux", {}, /Vulkan driver/],
      ["darwin", {}, /Metal/],
      ["win32", {}, /Direct3D 12/],
    ];
    for (const [platform, os, text] of others) {
      const a = advice(platform, os);
      expect(a.apt).toBe(false);
      expect([a.hint, ...(a.commands ?? [])].join("\n")).toMatch(text);
    }
  });

  it("says nothing where there is an adapter", () => {
    expect(run({})).toMatchObject({ status: 0, stdout: "", stderr: "" });
  });

  it.runIf(process.platform === "linux")(
    "names what is missing, the cure, and exits with 1, installing nothing when told not to",
    () => {
      const { status, stderr } = run({
        VK_DRIVER_FILES: "/nonexistent.json",
        VK_ICD_FILENAMES: "/nonexistent.json",
        KINEOGRAPH_NO_SETUP: "1",
      });
      expect(status).toBe(1);
      expect(stderr).toMatch(/^No WebGPU adapter on this machine: .+\.\n/);
      expect(stderr).not.toContain("Installing");
    },
  );
});
