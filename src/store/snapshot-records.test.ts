/** Containerd's metastore suite (formats layer-apply "Snapshotter suite", last line); cases have its names in brackets. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import type { SnapshotEntry, SnapshotRecords } from "./snapshot-records.ts";
import { openStore, type Store } from "./store.ts";

const D = "driver";
const NOW = 1_700_000_000_000;
const usage = { bytes: 100, inodes: 5 };
const code = (code: string): { code: string } => expect.objectContaining({ code }) as { code: string };

interface Scene extends AsyncDisposable {
  readonly store: Store;
  readonly records: SnapshotRecords;
  time: number;
}

/** As containerd's tests begin: two committed on each other, actives and views on nothing, on the first and on the second. */
async function scene(): Promise<Scene> {
  await using cleanup = new AsyncDisposableStack();
  const dir = cleanup.use(await tempDir());
  const result: Scene = { time: NOW } as Scene;
  const store = cleanup.use(await openStore(join(dir.path, "store"), { sync: false, clock: () => result.time }));
  const records = store.snapshots;
  const held = cleanup.move();
  await records.create(D, "committed-tmp-1", "active");
  await records.commit(D, "committed-tmp-1", "committed-1", { usage });
  await records.create(D, "committed-tmp-2", "active", "committed-1");
  await records.commit(D, "committed-tmp-2", "committed-2", { usage, labels: { from: "two" } });
  await records.create(D, "active-1", "active");
  await records.create(D, "active-2", "active", "committed-1");
  await records.create(D, "active-3", "active", "committed-2", { labels: { a: "1" } });
  await records.create(D, "view-1", "view");
  await records.create(D, "view-2", "view", "committed-2");
  return Object.assign(result, { store, records, [Symbol.asyncDispose]: () => held.disposeAsync() });
}

const facts = ({ key, kind, parentKey }: SnapshotEntry): unknown[] => [key, kind, parentKey];

const ALL = [
  ["committed-1", "committed", undefined],
  ["committed-2", "committed", "committed-1"],
  ["active-1", "active", undefined],
  ["active-2", "active", "committed-1"],
  ["active-3", "active", "committed-2"],
  ["view-1", "view", undefined],
  ["view-2", "view", "committed-2"],
];

describe("the records of snapshots", () => {
  it("are found by key, whatever they are (GetInfo, GetSnapshot)", async () => {
    await using on = await scene();
    for (const [key, kind, parent] of ALL) {
      const found = await on.records.find(D, String(key));
      expect(facts(found)).toEqual([key, kind, parent]);
      expect(await on.records.getById(found.id)).toEqual(found);
    }
    expect(await on.records.find(D, "committed-2")).toMatchObject({ ...usage, labels: { from: "two" }, driver: D });
    expect(await on.records.get(D, "committed-tmp-1")).toBeUndefined();
    await expect(on.records.find(D, "missing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    await expect(on.records.find("another driver", "active-1")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
  });

  it("are walked through in the order in which they were made (Walk)", async () => {
    await using on = await scene();
    expect((await Array.fromAsync(on.records.walk())).map(facts)).toEqual(ALL);
    expect(await Array.fromAsync(on.records.walk([], "another driver"))).toEqual([]);
    const some = await Array.fromAsync(on.records.walk([{ kind: "view" }, { labels: { a: "1" } }], D));
    expect(some.map(({ key }) => key)).toEqual(["active-3", "view-1", "view-2"]);
  });

  it("are walked through page by page, while they come and go", async () => {
    await using on = await scene();
    for (let index = 0; index < 450; index++) await on.records.create(D, `more-${index}`, "active", "committed-1");
    let seen = 0;
    for await (const { key, kind } of on.records.walk()) {
      seen++;
      if (kind !== "committed") await on.records.remove(D, key);
    }
    expect(seen).toBe(457);
    expect((await Array.fromAsync(on.records.walk())).map(({ key }) => key)).toEqual(["committed-1", "committed-2"]);
  });

  it("of several drivers share no keys", async () => {
    await using on = await scene();
    await on.records.create("other", "active-1", "active");
    await expect(on.records.create("other", "x", "active", "committed-1")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    await on.records.commit("other", "active-1", "committed-1", { usage });
  });

  it("give each snapshot an id of its own, and never one again", async () => {
    await using on = await scene();
    const { records } = on;
    const ids = (await Array.fromAsync(records.walk())).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const last = Math.max(...ids);
    await records.remove(D, "view-2");
    const { id } = await records.create(D, "view-2", "view");
    expect(id).toBeGreaterThan(last);
    expect((await records.reserve(D, "new")).id).toBeGreaterThan(id);
    const far = await records.reserve(D, "new", undefined, 1000);
    expect(far.id).toBe(1001);
    const made = { id: far.id, parent: undefined };
    expect((await records.create(D, "new", "active", undefined, { made })).id).toBe(1001);
    expect((await records.create(D, "newer", "active")).id).toBe(1002);
  });

  it("come into being on committed ones, or on nothing (CreateActive)", async () => {
    await using on = await scene();
    const labels = { one: "1", none: "" };
    const diffId = digestOf("layer");
    const made = await on.records.create(D, "new", "active", "committed-2", { labels, diffId });
    expect(made).toMatchObject({ kind: "active", parentKey: "committed-2", labels: { one: "1" }, diffId, bytes: 0 });
    expect(made.parent).toBe((await on.records.find(D, "committed-2")).id);
    expect([made.createdAt, made.updatedAt]).toEqual([new Date(NOW), new Date(NOW)]);
  });

  it("must have a parent that is there and committed, and a key that is free (CreateActive{NotExist,Exist,FromActive})", async () => {
    await using on = await scene();
    const { records } = on;
    const before = await Array.fromAsync(records.walk());
    for (const kind of ["active", "view"] as const) {
      await expect(records.create(D, "new", kind, "missing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
      for (const key of ["committed-1", "active-1", "view-1"]) {
        await expect(records.create(D, key, kind, "committed-1")).rejects.toEqual(code("SNAPSHOT_EXISTS"));
      }
      for (const parent of ["active-1", "view-1"]) {
        await expect(records.create(D, "new", kind, parent)).rejects.toEqual(code("SNAPSHOT_STATE"));
      }
      for (const key of ["", "line\nbreak", "x".repeat(1025)]) {
        await expect(records.create(D, key, kind)).rejects.toEqual(code("SNAPSHOT_INVALID"));
      }
      const labels = { long: "x".repeat(4096) };
      await expect(records.create(D, "new", kind, undefined, { labels })).rejects.toEqual(code("SNAPSHOT_INVALID"));
    }
    expect(await Array.fromAsync(records.walk())).toEqual(before);
  });

  it("are committed under a name, as if made then; the key is free (Commit)", async () => {
    await using on = await scene();
    const { records } = on;
    const before = await records.find(D, "active-3");
    on.time += 5000;
    const diffId = digestOf("layer");
    const labels = { b: "2" };
    const done = await records.commit(D, "active-3", "name", { usage: { bytes: 7, inodes: 2 }, diffId, labels });
    expect(done).toEqual({
      ...before,
      key: "name",
      kind: "committed",
      diffId,
      bytes: 7,
      inodes: 2,
      labels,
      createdAt: new Date(on.time),
      updatedAt: new Date(on.time),
    });
    expect(await records.find(D, "name")).toEqual(done);
    expect(await records.get(D, "active-3")).toBeUndefined();
    await records.create(D, "active-3", "active", "name");
  });

  it("are committed when they are active, once, to a free name (Commit{NotExist,Exist,Committed,ViewFails})", async () => {
    await using on = await scene();
    const { records } = on;
    const before = await Array.fromAsync(records.walk());
    const commit = (key: string, name: string): Promise<unknown> => records.commit(D, key, name, { usage });
    await expect(commit("missing", "new")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    for (const name of ["committed-1", "active-1", "active-2", "view-1"]) {
      await expect(commit("active-1", name)).rejects.toEqual(code("SNAPSHOT_EXISTS"));
    }
    await expect(commit("committed-1", "new")).rejects.toEqual(code("SNAPSHOT_STATE"));
    await expect(commit("view-1", "new")).rejects.toEqual(code("SNAPSHOT_STATE"));
    await expect(commit("active-1", "")).rejects.toEqual(code("SNAPSHOT_INVALID"));
    expect(await Array.fromAsync(records.walk())).toEqual(before);
  });

  it("are removed when none stands on them (Remove{,NotExist,WithChildren})", async () => {
    await using on = await scene();
    const { records } = on;
    await expect(records.remove(D, "missing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    await expect(records.remove(D, "committed-1")).rejects.toEqual(code("SNAPSHOT_STATE"));
    await expect(records.remove(D, "committed-2")).rejects.toEqual(code("SNAPSHOT_STATE"));
    expect(await records.remove(D, "view-2", () => true)).toBeUndefined();
    for (const key of ["view-2", "view-1", "active-3", "committed-2", "active-2", "committed-1", "active-1"]) {
      const { id } = await records.find(D, key);
      expect(await records.remove(D, key)).toMatchObject({ snapshot: { id, key }, folders: [id] });
    }
    expect(await Array.fromAsync(records.walk())).toEqual([]);
  });

  it("lead to their ancestors, the nearest first (ParentIDs)", async () => {
    await using on = await scene();
    const { records } = on;
    const [one, two] = [(await records.find(D, "committed-1")).id, (await records.find(D, "committed-2")).id];
    expect(await records.parentIds(D, "committed-1")).toEqual([]);
    expect(await records.parentIds(D, "committed-2")).toEqual([one]);
    expect(await records.parentIds(D, "active-3")).toEqual([two, one]);
    expect(await records.parentIds(D, "view-2")).toEqual([two, one]);
    await expect(records.parentIds(D, "missing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    const { id } = await records.find(D, "active-3");
    expect((await records.chain(id)).map(({ key }) => key)).toEqual(["active-3", "committed-2", "committed-1"]);
    expect(await records.chain(99_999)).toEqual([]);
  });

  it("get a parent as they are committed, when they have none (Rebase)", async () => {
    await using on = await scene();
    const { records } = on;
    const done = await records.commit(D, "active-1", "late", { usage, parent: "committed-2" });
    expect(facts(done)).toEqual(["late", "committed", "committed-2"]);
    expect(await records.parentIds(D, "late")).toHaveLength(2);
    // The one that it has may be said, or not.
    expect((await records.commit(D, "active-2", "same", { usage, parent: "committed-1" })).parentKey).toBe(
      "committed-1",
    );
    expect((await records.commit(D, "active-3", "kept", { usage })).parentKey).toBe("committed-2");
  });

  it("get no parent that is missing, not committed, or another than they have (Rebase)", async () => {
    await using on = await scene();
    const { records } = on;
    const commit = (key: string, parent: string): Promise<unknown> => records.commit(D, key, "new", { usage, parent });
    await expect(commit("active-1", "missing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    await expect(commit("active-1", "active-2")).rejects.toEqual(code("SNAPSHOT_STATE"));
    await expect(commit("active-1", "active-1")).rejects.toEqual(code("SNAPSHOT_STATE"));
    await expect(commit("active-1", "view-1")).rejects.toEqual(code("SNAPSHOT_STATE"));
    await expect(commit("active-2", "committed-2")).rejects.toEqual(code("SNAPSHOT_INVALID"));
    await expect(commit("active-2", "missing")).rejects.toEqual(code("SNAPSHOT_INVALID"));
    expect((await Array.fromAsync(records.walk())).map(facts)).toEqual(ALL);
  });

  it("change in their labels only, and always later than before (UpdateInfo)", async () => {
    await using on = await scene();
    const { records } = on;
    const before = await records.find(D, "active-3");
    on.time -= 60_000;
    const after = await records.update(D, "active-3", { x: "y" }, ["labels.x"]);
    expect(after).toEqual({ ...before, labels: { a: "1", x: "y" }, updatedAt: new Date(NOW + 1) });
    expect((await records.update(D, "active-3", { z: "" })).labels).toEqual({});
    expect((await records.update(D, "active-3", { __proto__: "p", constructor: "c" })).labels).toEqual({
      constructor: "c",
    });
    await expect(records.update(D, "active-3", {}, ["kind" as "labels"])).rejects.toEqual(code("SNAPSHOT_INVALID"));
    await expect(records.update(D, "missing", {})).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
  });

  it("hold to the very snapshots that a folder was made for", async () => {
    await using on = await scene();
    const { records } = on;
    const { id, parent } = await records.reserve(D, "new", "committed-2");
    for (const key of ["active-3", "view-2", "committed-2"]) await records.remove(D, key);
    await records.create(D, "again", "active", "committed-1");
    await records.commit(D, "again", "committed-2", { usage });
    const made = { id, parent: parent?.id };
    await expect(records.create(D, "new", "active", "committed-2", { made })).rejects.toEqual(
      code("SNAPSHOT_NOT_FOUND"),
    );

    const active = await records.find(D, "active-1");
    const wrongId = { id: active.id + 1000, parent: undefined };
    await expect(records.commit(D, "active-1", "n", { usage, made: wrongId })).rejects.toEqual(
      code("SNAPSHOT_NOT_FOUND"),
    );
    const wrongParent = { id: active.id, parent: parent!.id };
    const late = { usage, made: wrongParent, parent: "committed-2" };
    await expect(records.commit(D, "active-1", "n", late)).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
  });

  it("keep a folder as long as one snapshot needs it, its own or one that shares its tree", async () => {
    await using on = await scene();
    const { records } = on;
    const diffId = digestOf("shared");
    const owner = await records.commit(D, "active-1", "owner", { usage, diffId });
    const sharer = await records.commit(D, "active-2", "sharer", { usage, diffId, tree: owner.id });
    expect((await records.findByDiffId(D, diffId)).map(({ key }) => key)).toEqual(["owner", "sharer"]);
    expect((await records.remove(D, "owner"))?.folders).toEqual([]);
    expect(await records.needsFolder(owner.id)).toBe(true);
    const third = await records.commit(D, "active-3", "third", { usage, diffId, tree: owner.id });
    expect((await records.remove(D, "sharer"))?.folders).toEqual([sharer.id]);
    expect((await records.remove(D, "third"))?.folders).toEqual([third.id, owner.id]);
    expect(await records.needsFolder(owner.id)).toBe(false);
    await records.create(D, "late", "active");
    const gone = { usage, tree: owner.id };
    await expect(records.commit(D, "late", "n", gone)).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
  });

  it("keep a layer that one of them is made of, or is to be made of", async () => {
    await using on = await scene();
    const { records } = on;
    const diffId = digestOf("layer");
    const drop = (unless = false): Promise<boolean> =>
      records.dropLayer(
        D,
        diffId,
        () => unless,
        () => true,
      );
    expect(await drop()).toBe(true);
    expect(await drop(true)).toBe(false);
    await records.claim((await records.find(D, "active-1")).id, diffId);
    expect(await drop()).toBe(false);
    const done = await records.commit(D, "active-1", "n", { usage });
    expect(done.diffId).toBe(diffId);
    expect(await drop()).toBe(false);
    await records.remove(D, "n");
    expect(await drop()).toBe(true);
  });

  it("are there to be read where nothing may be written", async () => {
    await using on = await scene();
    await using reader = await openStore(on.store.root, { readOnly: true });
    expect((await Array.fromAsync(reader.snapshots.walk())).map(facts)).toEqual(ALL);
    expect(facts(await reader.snapshots.find(D, "view-2"))).toEqual(["view-2", "view", "committed-2"]);
    await expect(reader.snapshots.create(D, "new", "active")).rejects.toEqual(code("STORE_READ_ONLY"));
    await using nowhere = await openStore(`${on.store.root}-missing`, { readOnly: true });
    expect(await Array.fromAsync(nowhere.snapshots.walk())).toEqual([]);
    expect(await nowhere.snapshots.get(D, "x")).toBeUndefined();
  });
});
