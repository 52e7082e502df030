import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import {
  device,
  directory,
  fifo,
  file,
  hardlink,
  symlink,
  whiteout,
  type TreeNode,
} from "../../test/kit/trees/tree-node.ts";
import type { ApplyReport } from "./report.ts";

const asRoot = process.getuid?.() === 0;
const unshare = findPeer("unshare");
const NOBODY = 65_534;
/** cap_net_bind_service, as the kernel stores it. */
const CAPABILITY = "0100000200040000000000000000000000000000";
const PROGRAM = join(import.meta.dirname, "../../test/kit/layer/apply-as.ts");

const LAYERS: readonly (readonly TreeNode[])[] = [
  [
    directory("locked", { mode: 0o555 }),
    file("locked/a", "a", { mode: 0o400 }),
    directory("locked/shut", { mode: 0o000 }),
    file("locked/shut/b", "b"),
    directory("locked/shut/deep", { mode: 0o000 }),
    file("locked/shut/deep/c", "c"),
    file("setuid", "x", { uid: 5, gid: 6, mode: 0o6755 }),
    file("owned", "x", { uid: 7, gid: 7, mtime: 5n }),
    directory("gone/inner", { mode: 0o000 }),
    file("gone/inner/x", "x"),
  ],
  [
    file("locked/shut/deep/new", "n"),
    whiteout("gone"),
    device("null", "char", 1, 3),
    hardlink("null2", "null"),
    fifo("pipe", { mode: 0o622 }),
    symlink("link", "locked", { uid: 9 }),
    file("caps", "x", {
      xattrs: { "security.capability": Buffer.from(CAPABILITY, "hex"), "user.a": Buffer.from("1") },
    }),
  ],
];

async function applyAs(dir: TempDir, owner: number, program: string, args: readonly string[]): Promise<ApplyReport> {
  const root = join(dir.path, "root");
  mkdirSync(root);
  chmodSync(dir.path, 0o755);
  chownSync(root, owner, owner);
  const tars = LAYERS.map((layer, index) => {
    const path = join(dir.path, `${index}.tar`);
    writeFileSync(path, packTree(layer));
    return path;
  });
  const { stdout } = await runOk(program, [...args, process.execPath, PROGRAM, root, ...tars]);
  return JSON.parse(stdout.toString()) as ApplyReport;
}

describe.skipIf(!asRoot)("applied by one who is not root (needs root to become one)", () => {
  it("fills directories that keep him out, and leaves out and counts what he may not set", async () => {
    await using dir = await tempDir();
    const become = ["--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups"];
    const report = await applyAs(dir, NOBODY, "setpriv", become);
    expect(report.skipped.devices).toBe(2);
    expect(report.skipped.owners).toBe(14);
    expect(report.skipped.xattrs).toBe(1);
    expect(report.warnings.join("\n")).toMatch(/owners left out.*\n?.*/);
    const at = (path: string): string => join(dir.path, "root", path);
    const modes = ["locked", "locked/a", "locked/shut", "locked/shut/deep", "setuid", "pipe"].map(
      (path) => lstatSync(at(path)).mode & 0o7777,
    );
    expect(modes).toEqual([0o555, 0o400, 0, 0, 0o755, 0o622]);
    expect(readFileSync(at("locked/shut/deep/c"), "utf8")).toBe("c");
    expect(readFileSync(at("locked/shut/deep/new"), "utf8")).toBe("n");
    expect(lstatSync(at("owned"), { bigint: true })).toMatchObject({ uid: BigInt(NOBODY), mtimeNs: 5n });
    for (const path of ["gone", "null", "null2"])
      expect(lstatSync(at(path), { throwIfNoEntry: false })).toBeUndefined();
  });

  it.skipIf(unshare === undefined)(
    "as root of a user namespace he owns all, and users who are not mapped are left out",
    async () => {
      await using dir = await tempDir();
      const report = await applyAs(dir, 0, unshare ?? "", ["--user", "--map-root-user"]);
      expect(report.skipped.devices).toBe(2);
      expect(report.skipped.owners).toBe(3);
      const status = lstatSync(join(dir.path, "root/setuid"));
      expect([status.uid, status.mode & 0o7777]).toEqual([0, 0o755]);
      expect(lstatSync(join(dir.path, "root/pipe")).isFIFO()).toBe(true);
    },
  );
});
