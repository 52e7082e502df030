/** The same is told of the same changes whatever driver holds them, while they are written and once they are committed. */
import { describe, expect, it } from "vitest";
import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { SnapshotBench, type MakeDriver } from "../../../test/kit/snapshot/bench.ts";
import { bindTars } from "../../../test/kit/snapshot/bind-tars.ts";
import { packTree } from "../../../test/kit/images/pack-tree.ts";
import { chmod, createDir, createFile, edits, link, remove, removeAll } from "../../../test/kit/trees/edit-tree.ts";
import { directory, file, hardlink, whiteout } from "../../../test/kit/trees/tree-node.ts";
import type { Changes } from "../../layer/diff/changes.ts";
import { CopyDriver } from "../copy/driver.ts";
import { ErofsDriver } from "../erofs/driver.ts";
import { OverlayDriver } from "../overlay/driver.ts";
import { withChanges } from "./with-changes.ts";

const DRIVERS: readonly (readonly [string, MakeDriver])[] = [
  ["erofs", (store) => new ErofsDriver(store)],
  ["overlay", (store) => OverlayDriver.open(store)],
  ["copy", (store) => new CopyDriver(store)],
];

const LOWER = [
  directory("etc"),
  file("etc/hosts", "localhost"),
  directory("data"),
  file("data/a", "a"),
  hardlink("data/b", "data/a"),
  directory("gone"),
  file("gone/x", "x"),
];
const MIDDLE = [directory("etc"), file("etc/motd", "hello"), whiteout("data/b"), file("bin/tool", "tool")];

const work = edits(
  createFile("etc/hosts", "changed", 0o644),
  chmod("data/a", 0o600),
  removeAll("gone"),
  createDir("new", 0o755),
  createFile("new/f", "f", 0o644),
  link("new/f", "new/g"),
  remove("etc/motd"),
);

const EXPECTED = [
  "delete gone",
  "modify data/a",
  "modify etc",
  "delete etc/motd",
  "modify etc/hosts",
  "add new",
  "add new/f",
  "add new/g",
];

async function told(changes: Changes): Promise<string[]> {
  const all = await Array.fromAsync(changes);
  return all.filter(({ kind }) => kind !== "parent").map(({ kind, path }) => `${kind} ${path}`);
}

describe.skipIf(!canMount()).each(DRIVERS)("%s (needs root and mounts)", (_name, makeDriver) => {
  it("tells what an active snapshot holds, and the same when it is committed", async () => {
    await using bench = await SnapshotBench.open(makeDriver);
    const { snapshots } = bench;
    const [, top] = await bindTars(snapshots, [packTree(LOWER), packTree(MIDDLE)]);
    await bench.write("work", top, work);
    expect(await withChanges(bench, "work", told)).toEqual(EXPECTED);
    await snapshots.commit("done", "work");
    expect(await withChanges(bench, "done", told)).toEqual(EXPECTED);
  });

  it("tells all of what stands on nothing, and of an image's layers what each does", async () => {
    await using bench = await SnapshotBench.open(makeDriver);
    const [bottom, top] = await bindTars(bench.snapshots, [packTree(LOWER), packTree(MIDDLE)]);
    const added = ["data", "data/a", "data/b", "etc", "etc/hosts", "gone", "gone/x"].map((path) => `add ${path}`);
    expect(await withChanges(bench, bottom ?? "", told)).toEqual(added);
    const second = await withChanges(bench, top ?? "", told);
    expect(second).toEqual(["add bin", "add bin/tool", "delete data/b", "add etc/motd"]);
  });

  it("tells nothing of a view, and nothing where nothing was done", async () => {
    await using bench = await SnapshotBench.open(makeDriver);
    const [bottom] = await bindTars(bench.snapshots, [packTree(LOWER)]);
    await bench.snapshots.view("look", bottom);
    await bench.write("idle", bottom, () => undefined);
    expect(await withChanges(bench, "look", told)).toEqual([]);
    expect(await withChanges(bench, "idle", told)).toEqual([]);
    await bench.write("scratch", undefined, createFile("f", "f", 0o644));
    expect(await withChanges(bench, "scratch", told)).toEqual(["add f"]);
    await bench.snapshots.commit("only", "scratch");
    expect(await withChanges(bench, "only", told)).toEqual(["add f"]);
  });

  it("knows its snapshots", async () => {
    await using bench = await SnapshotBench.open(makeDriver);
    await expect(withChanges(bench, "none", told)).rejects.toMatchObject({ code: "SNAPSHOT_NOT_FOUND" });
  });
});
