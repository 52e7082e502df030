/** Disks over the API: what it reads and writes is below its directory, and what it says is about paths that people know. */
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isVarveError } from "../../../src/index.ts";
import { filledDaemon } from "../../kit/daemon/filled-daemon.ts";
import { startTestDaemon } from "../../kit/daemon/start-daemon.ts";
import { findPeer } from "../../kit/peers.ts";

const qemuImg = findPeer("qemu-img");
const JSON_TYPE = { "content-type": "application/json" };

async function failure(work: Promise<unknown>): Promise<{ readonly code: string; readonly text: string }> {
  const error: unknown = await work.then(
    (value) => new Error(`it did not fail: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!isVarveError(error)) throw error;
  return { code: error.code, text: `${error.message} ${error.hint}` };
}

describe("disks over the API", () => {
  it("go out and come in again, with holes and by names that people know", async () => {
    const { client, disks, names } = await filledDaemon({ has: ["machine"] });
    const exported = await client.disks.export({ image: names.machine, path: "vm", verify: true });
    expect(exported).toMatchObject({ target: join(disks, "vm"), verified: true });
    expect((await readdir(join(disks, "vm"))).toSorted()).toEqual([
      "config.json",
      "disk.img",
      "manifest.json",
      "nvram.bin",
    ]);
    expect(exported.allocatedBytes!).toBeLessThan(exported.logicalBytes / 2);
    const imported = await client.disks.import({ path: "vm", image: "example.com/vm:again", chunkSize: 1 << 20 });
    expect(imported.source).toBe(join(disks, "vm"));
    const [before, after] = [await client.disks.get(names.machine), await client.disks.get("example.com/vm:again")];
    expect(after.disks[0]!.key).toBe(before.disks[0]!.key);
    expect(JSON.stringify([exported, imported])).not.toContain("/proc/");
  });

  it("replace nothing unless they are told to", async () => {
    const { client, disks, names } = await filledDaemon({ has: ["machine"] });
    await mkdir(join(disks, "full"));
    await writeFile(join(disks, "full/mine"), "mine");
    const image = names.machine;
    expect(await failure(client.disks.export({ image, path: "full" }))).toMatchObject({ code: "TARGET_NOT_EMPTY" });
    const there = await failure(client.disks.export({ image, path: "full/mine", raw: true }));
    expect(there).toMatchObject({ code: "FILE_EXISTS" });
    expect(there.text).toContain(join(disks, "full/mine"));
    expect(await readFile(join(disks, "full/mine"), "utf8")).toBe("mine");
    await client.disks.export({ image, path: "full/mine", raw: true, force: true });
    expect((await readFile(join(disks, "full/mine"))).length).toBe(3 << 20);
  });

  it("say what is wrong about the path that was given, and not about how it was opened", async () => {
    const { client, disks, names } = await filledDaemon({ has: ["machine"] });
    await mkdir(join(disks, "empty"));
    const wrong = await failure(client.disks.import({ path: "empty", image: "example.com/a:1" }));
    expect(wrong).toMatchObject({ code: "FILE_NOT_FOUND" });
    expect(wrong.text).toContain(join(disks, "empty"));
    expect(wrong.text).not.toContain("/proc/");
    const nobody = await failure(client.disks.export({ image: names.machine, path: "x", disk: "disk.img" }));
    expect(nobody.code).toBe("USAGE");
  });

  it("are refused outside of the directory, and everywhere where there is none", async () => {
    const { daemon, client, disks, names } = await filledDaemon({ has: ["machine"] });
    await symlink("/etc", join(disks, "etc"));
    await symlink("/etc/passwd", join(disks, "passwd.img"));
    for (const path of ["../x", "/tmp/x", "etc/x", "etc", "passwd.img"]) {
      for (const body of [
        { image: names.machine, path },
        { image: names.machine, path, raw: true, force: true },
      ]) {
        expect([path, (await failure(client.disks.export(body))).code]).toEqual([path, "DISKS_CLOSED"]);
      }
      const got = await failure(client.disks.import({ path, image: "example.com/a:1" }));
      expect([path, got.code]).toEqual([path, "DISKS_CLOSED"]);
    }
    const none = await startTestDaemon({ root: join(daemon.root, "../other") });
    const body = JSON.stringify({ path: "disk.img", image: "example.com/a:1" });
    const answer = await none.call("POST", "/v1/disks/import", JSON_TYPE, body);
    expect([answer.status, answer.json()["error"]]).toMatchObject([403, { code: "DISKS_CLOSED" }]);
  });

  it("are of images of the store, whatever files there are", async () => {
    const { client } = await filledDaemon({ has: ["machine"] });
    for (const word of ["/etc/passwd", "./package.json", "package.json", ".", "oci:/etc", "docker://127.0.0.1:1/a"]) {
      const { code } = await failure(client.disks.get(word));
      expect(["IMAGE_NOT_FOUND", "REFERENCE_INVALID", "REQUEST_INVALID"]).toContain(code);
    }
  });

  it.skipIf(qemuImg === undefined)("of other kinds are made raw, and lead to no other file", async () => {
    const { client, disks } = await filledDaemon({ has: ["machine"] });
    const qemu = (...args: readonly string[]): unknown => execFileSync(qemuImg!, args, { stdio: "pipe" });
    qemu("convert", "-O", "qcow2", join(disks, "disk.img"), join(disks, "disk.qcow2"));
    const imported = await client.disks.import({ path: "disk.qcow2", image: "example.com/q:1" });
    expect(imported).toMatchObject({ format: "qcow2", source: join(disks, "disk.qcow2") });
    qemu("create", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", join(disks, "leads.qcow2"), "1M");
    const refused = await failure(client.disks.import({ path: "leads.qcow2", image: "example.com/q:2" }));
    expect(refused.code).toBe("DISK_UNREADABLE");
    expect(refused.text).not.toContain("/proc/");
  });
});
