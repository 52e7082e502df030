import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readMembers } from "../../test/kit/layer/read-members.ts";
import { putImage } from "../../test/kit/store/put-image.ts";
import { snapshotContext, type SnapshotContext } from "../../test/kit/snapshot/unpacked-image.ts";
import { directory, file, whiteout } from "../../test/kit/trees/tree-node.ts";
import { digestOf } from "../oci/digest.ts";
import { diffSnapshot, saveDiff, type ChangeRow } from "./diff-snapshot.ts";

const isRoot = process.getuid?.() === 0;
const BASE = { layers: [[directory("etc"), file("etc/hosts", "localhost"), file("old", "")]] };
const SECOND = { layers: [...BASE.layers, [directory("etc"), file("etc/motd", "hello"), whiteout("old")]] };

async function rows(context: SnapshotContext, name: string): Promise<ChangeRow[]> {
  const found: ChangeRow[] = [];
  await diffSnapshot(context, name, (row) => void found.push(row));
  return found;
}

describe.skipIf(!isRoot)("diff (needs root)", () => {
  it("tells what was added, changed and deleted in a snapshot", async () => {
    const context = await snapshotContext();
    const { top } = await context.addImage("base:1", BASE);
    const root = await context.prepare("work", top);
    mkdirSync(join(root, "d"));
    writeFileSync(join(root, "d/f"), "four");
    symlinkSync("d", join(root, "link"));
    writeFileSync(join(root, "etc/hosts"), "changed");
    rmSync(join(root, "old"));
    chmodSync(root, 0o700);
    expect(await rows(context, "work")).toEqual([
      { kind: "C", path: ".", type: "directory" },
      { kind: "D", path: "old" },
      { kind: "A", path: "d", type: "directory" },
      { kind: "A", path: "d/f", type: "file", size: 4 },
      { kind: "C", path: "etc/hosts", type: "file", size: 7 },
      { kind: "A", path: "link", type: "symlink" },
    ]);
  });

  it("tells what an image's topmost layer does, by name or by digest", async () => {
    const context = await snapshotContext();
    const { image } = await context.addImage("app:1", SECOND);
    const expected = [
      { kind: "D", path: "old" },
      { kind: "A", path: "etc/motd", type: "file", size: 5 },
    ];
    expect(await rows(context, "app:1")).toEqual(expected);
    expect(await rows(context, image.digest)).toEqual(expected);
  });

  it("writes them as a layer", async () => {
    const context = await snapshotContext();
    await context.addImage("app:1", SECOND);
    const path = join(context.path, "layer.tar");
    const saved = await saveDiff(context, "app:1", path);
    const tar = readFileSync(path);
    expect(saved).toEqual({ snapshot: "app:1", file: path, diffId: digestOf(tar), size: tar.length });
    expect(readMembers(tar).map(({ entry }) => entry.name)).toEqual([".wh.old", "etc/", "etc/motd"]);
    await expect(saveDiff(context, "app:1", join(path, "x"))).rejects.toMatchObject({ code: "IO" });
  });

  it("looks at the driver that was asked for only", async () => {
    const context = await snapshotContext();
    await context.prepare("work");
    const only = { ...context, snapshotter: { choice: "overlay" as const, open: () => Promise.reject(new Error()) } };
    await expect(rows(only, "work")).rejects.toMatchObject({ code: "SNAPSHOT_NOT_FOUND" });
    const none = { ...context, snapshotter: { choice: "none" as const, open: () => Promise.reject(new Error()) } };
    expect(await rows(none, "work")).toEqual([]);
  });

  it("says what is not there, and what is not unpacked", async () => {
    const context = await snapshotContext();
    await putImage(context.store, "docker.io/library/held:1");
    await expect(rows(context, "none")).rejects.toMatchObject({ code: "SNAPSHOT_NOT_FOUND" });
    await expect(rows(context, "No Name")).rejects.toMatchObject({ code: "SNAPSHOT_NOT_FOUND" });
    const hint = expect.stringContaining("varve pull held:1") as string;
    await expect(rows(context, "held:1")).rejects.toMatchObject({ code: "SNAPSHOT_NOT_FOUND", hint });
  });
});
