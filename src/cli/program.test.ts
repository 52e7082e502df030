/** The program as users start it: a process of its own, with real streams, shells and other Nodes. */
import { randomBytes } from "node:crypto";
import { access, cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { run } from "../../test/kit/peers/run.ts";
import { runVarve, startVarve, VARVE_BIN } from "../../test/kit/peers/varve.ts";
import { buildImage } from "../../test/kit/images/build-image.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { startRegistry } from "../../test/kit/registry/registry.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import type { PullResult } from "../transfer/pull-result.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { COMPLETION_SCRIPTS, SHELLS } from "./completion/scripts.ts";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));

describe("varve", () => {
  it("prints its version", async () => {
    const plain = await runVarve(["version"]);
    expect(plain.code).toBe(0);
    expect(plain.stdout.toString()).toMatch(/^varve \d+\.\d+\.\d+\n$/);
    expect(plain.stderr).toBe("");
    const json = await runVarve(["version", "--json"]);
    expect(JSON.parse(json.stdout.toString())).toMatchObject({ node: process.versions.node });
    expect((await runVarve(["--version"])).stdout).toEqual(plain.stdout);
    expect((await runVarve(["version", "-v"])).stdout.toString()).toContain(`\nnode ${process.versions.node}\n`);
  });

  it("exits with 2 on wrong usage, in words and in JSON", async () => {
    const words = await runVarve(["imges"]);
    expect(words).toMatchObject({
      code: 2,
      stderr: "varve: USAGE: unknown command 'imges'\nhint: did you mean images? varve --help lists the commands\n",
    });
    const json = await runVarve(["--json", "pull"]);
    expect(json).toMatchObject({ code: 2, stderr: "" });
    expect(JSON.parse(json.stdout.toString())).toHaveProperty("error.code", "USAGE");
  });

  it("lists the images of a store that is not there as none, and makes none", async () => {
    await using dir = await tempDir();
    const root = join(dir.path, "store");
    const images = await runVarve(["images", "--json", "--root", root]);
    expect(images).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(images.stdout.toString())).toEqual([]);
    const inspected = await runVarve(["inspect", "nothing:1"], { root });
    expect(inspected.code).toBe(3);
    expect(inspected.stderr).toMatch(/^varve: IMAGE_NOT_FOUND: .*\nhint: .*\n$/);
    await expect(access(root)).rejects.toThrow("ENOENT");
  });

  it("starts without loading what only other commands need", async () => {
    await using dir = await tempDir();
    const preload = join(dir.path, "loads.mjs");
    await writeFile(
      preload,
      `import { registerHooks } from "node:module";
       import { writeSync } from "node:fs";
       registerHooks({ resolve(name, context, next) { const found = next(name, context); writeSync(2, found.url + "\\n"); return found; } });`,
    );
    const { stderr, code } = await run(process.execPath, ["--import", preload, VARVE_BIN, "version"]);
    expect(code).toBe(0);
    expect(stderr).toContain("commander");
    expect(stderr).not.toMatch(
      /undici|koffi|sqlite|worker_threads|\/src\/(registry|store|transfer|recipe|layer|workers|sys)\//,
    );
    const ours = stderr.split("\n").filter((line) => line.includes("/src/"));
    expect(ours.length).toBeLessThan(40);
  });

  it.skipIf(process.platform !== "linux")("fails when its result cannot be written", async () => {
    for (const args of [["version"], ["version", "--json"], ["--help"]]) {
      const { code, stderr } = await run("bash", ["-c", `"$0" "$@" >/dev/full`, process.execPath, VARVE_BIN, ...args]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^varve: NO_SPACE: the result could not be printed: ENOSPC.*\nhint: .*\n$/);
    }
  });

  it("stays silent when its reader goes away", async () => {
    const script = `set -o pipefail; "$0" "$1" --help | head -c 1 >/dev/null; "$0" "$1" nonsense 2>&1 | true; echo "\${PIPESTATUS[*]}"`;
    const { stdout, stderr } = await run("bash", ["-c", script, process.execPath, VARVE_BIN]);
    expect(stderr).toBe("");
    expect(stdout.toString()).toBe("2 0\n");
  });
});

describe("an interrupted pull", () => {
  it("exits with 130, says what is kept, and the next one goes on from there", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry();
    const image = await buildImage({ layers: [[file("data", randomBytes(6_000_000))]], compression: "none" });
    await pushImage(registry.host, "app", "1", image);
    const reference = `${registry.host}/app:1`;
    await using slow = startVarve(["pull", reference, "--limit-rate", "1M", "--progress", "json"], { root: dir.path });
    await slow.output(/"type":"progress".*"done":[1-9]\d{5}/);
    slow.kill("SIGINT");
    const stopped = await slow.result;
    expect(stopped.code).toBe(130);
    expect(stopped.stdout.toString()).toBe("");
    expect(stopped.stderr).toMatch(/\nvarve: INTERRUPTED: stopped; [\d.]+ [kM]B of 6\.00 MB are kept\nhint: .*\n$/);
    const again = await runVarve(["pull", reference, "--json"], { root: dir.path });
    expect(again.code).toBe(0);
    const result = JSON.parse(again.stdout.toString()) as PullResult;
    expect(result.resumedBytes).toBeGreaterThan(0);
    expect(result.bytes.network).toBeLessThan(6_000_000);
  });

  it("is not stopped twice by a signal that a wrapper passed on, and at once by a second one", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry();
    const image = await buildImage({ layers: [[file("data", randomBytes(6_000_000))]], compression: "none" });
    await pushImage(registry.host, "app", "1", image);
    await using slow = startVarve(["pull", `${registry.host}/app:1`, "--limit-rate", "100k"], { root: dir.path });
    await slow.output(/fetching/);
    slow.kill("SIGINT");
    slow.kill("SIGTERM");
    expect((await slow.result).stderr).toContain("varve: INTERRUPTED: stopped; ");
  });
});

/** The start script believes `process.versions`. */
async function oldNode(dir: string): Promise<string> {
  const preload = join(dir, "old.cjs");
  await writeFile(
    preload,
    `Object.defineProperty(process, "versions", { value: { ...process.versions, node: process.env.VARVE_OWN_NODE ? "26.10.0" : "20.20.2" } });`,
  );
  return preload;
}

describe("started by a Node that is too old", () => {
  it("says so in one line when there is no better one", async () => {
    await using dir = await tempDir();
    const preload = await oldNode(dir.path);
    await cp(VARVE_BIN, join(dir.path, "bin", "varve.js"));
    await writeFile(join(dir.path, "package.json"), '{"type":"module"}');
    const { code, stderr } = await run(process.execPath, [
      "--require",
      preload,
      join(dir.path, "bin", "varve.js"),
      "version",
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^varve: needs Node 26\.10 or newer, this is 20\.20\.2 \(.*\)\n$/);
  });

  it("uses the one among its dev dependencies, and passes its exit code on", async () => {
    await using dir = await tempDir();
    const preload = await oldNode(dir.path);
    await mkdir(join(dir.path, "node_modules", ".bin"), { recursive: true });
    await symlink(process.execPath, join(dir.path, "node_modules", ".bin", "node"));
    for (const name of ["bin", "src", "package.json"]) await symlink(join(CHECKOUT, name), join(dir.path, name));
    const start = ["--preserve-symlinks-main", "--require", preload, join(dir.path, "bin", "varve.js")];
    const options = { env: { NODE_OPTIONS: "--preserve-symlinks-main" } };
    const version = await run(process.execPath, [...start, "version", "--json"], options);
    expect(version.stderr).toBe("");
    expect(version.code).toBe(0);
    expect(JSON.parse(version.stdout.toString())).toHaveProperty("version");
    expect((await run(process.execPath, [...start, "nonsense"], options)).code).toBe(2);
  });

  it("tells of a death by signal as shells do", async () => {
    await using dir = await tempDir();
    const preload = await oldNode(dir.path);
    await mkdir(join(dir.path, "node_modules", ".bin"), { recursive: true });
    await cp(VARVE_BIN, join(dir.path, "bin", "varve.js"));
    await writeFile(join(dir.path, "package.json"), '{"type":"module"}');
    for (const [signal, expected] of [
      ["INT", 130],
      ["TERM", 143],
      ["KILL", 137],
    ] as const) {
      const script = `#!/bin/sh\nkill -${signal} $$\n`;
      await writeFile(join(dir.path, "node_modules", ".bin", "node"), script, { mode: 0o755 });
      const start = ["--require", preload, join(dir.path, "bin", "varve.js"), "version"];
      expect((await run(process.execPath, start)).code).toBe(expected);
    }
  });
});

/** What bash would offer for a line, as it calls the function: with the words cut at its word breaks. */
async function complete(line: string, env: Record<string, string> = {}): Promise<string[]> {
  await using dir = await tempDir();
  await writeFile(join(dir.path, "varve"), `#!/bin/sh\nexec '${process.execPath}' '${VARVE_BIN}' "$@"\n`, {
    mode: 0o755,
  });
  const script = [
    `source <(varve completion bash)`,
    `COMP_LINE="$1" COMP_POINT=\${#1}`,
    `_varve`,
    `printf '%s\\n' "\${COMPREPLY[@]}"`,
  ].join("\n");
  const path = `${dir.path}:${process.env["PATH"] ?? ""}`;
  const { stdout, stderr } = await run("bash", ["--norc", "-c", script, "bash", line], {
    env: { PATH: path, VARVE_ROOT: dir.path, ...env },
  });
  expect(stderr).toBe("");
  return stdout
    .toString()
    .split("\n")
    .filter((word) => word !== "")
    .sort();
}

describe("completion", () => {
  it.each(SHELLS)("prints a script for %s", async (shell) => {
    const { stdout, code } = await runVarve(["completion", shell]);
    expect(code).toBe(0);
    expect(stdout.toString()).toBe(COMPLETION_SCRIPTS[shell]);
    expect(stdout.toString()).not.toContain("undefined");
  });

  it("completes commands, flags and choices in bash", async () => {
    expect(await complete("varve im")).toEqual(["images"]);
    expect(await complete("varve --json pul")).toEqual(["pull"]);
    expect(await complete("varve pull --no")).toEqual(["--no-sync", "--no-unpack", "--no-wait"]);
    expect(await complete("varve --progress t")).toEqual(["tty"]);
    expect(await complete("varve --progress=pl")).toEqual(["plain"]);
    expect(await complete("varve completion ")).toEqual(["bash", "fish", "zsh"]);
    expect(await complete("varve nonsense ")).toEqual([]);
  });

  it("completes the store's images in bash, whose words end at colons", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry();
    const image = await buildImage({ layers: [[file("a", Buffer.from("a"))]] });
    await pushImage(registry.host, "org/app", "v1", image);
    const reference = `${registry.host}/org/app:v1`;
    await runVarve(["pull", reference], { root: dir.path });
    await runVarve(["tag", reference, "debian:12"], { root: dir.path });
    const env = { VARVE_ROOT: dir.path };
    expect(await complete("varve inspect docker.io/", env)).toEqual(["docker.io/library/debian:12"]);
    expect(await complete("varve rm docker.io/library/debian:1", env)).toEqual(["12"]);
    expect(await complete("varve inspect 127.0.0.1:", env)).toEqual([reference.slice("127.0.0.1:".length)]);
    expect(await complete(`varve tag ${reference} docker`, env)).toEqual(["docker.io/library/debian:12"]);
    expect(await complete("varve inspect deb", env)).toEqual(["debian:12"]);
    expect(await complete(`varve --root ${dir.path} rm deb`)).toEqual(["debian:12"]);
    expect(await complete(`varve --root=${dir.path} rm deb`)).toEqual(["debian:12"]);
    expect(await complete(`varve --root ${dir.path}/none rm deb`, env)).toEqual([]);
  });

  it("completes files and directories where a flag takes them", async () => {
    await using dir = await tempDir();
    await mkdir(join(dir.path, "certs"));
    await writeFile(join(dir.path, "certs.pem"), "");
    expect(await complete(`varve --ca-file ${dir.path}/ce`)).toEqual([`${dir.path}/certs`, `${dir.path}/certs.pem`]);
    expect(await complete(`varve --root ${dir.path}/ce`)).toEqual([`${dir.path}/certs`]);
    expect(await complete(`varve unpack oci:${dir.path}/ce`)).toEqual([`${dir.path}/certs`]);
    expect(await complete(`varve copy a docker-archive:${dir.path}/certs.`)).toEqual([`${dir.path}/certs.pem`]);
    expect(await complete("varve copy oci")).toEqual(["oci-archive:", "oci:"]);
    expect(await complete("varve rm oci")).toEqual([]);
  });
});
