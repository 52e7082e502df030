/** What snapshots are and become, whatever is in them; see snapshotter.suite.ts. Names in brackets are containerd's. */
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SnapshotBench, type MakeDriver } from "./bench.ts";

const nothing = (): void => {};
const code = (code: string): { code: string } => expect.objectContaining({ code }) as { code: string };

export function stateCases(makeDriver: MakeDriver): void {
  const open = (): Promise<SnapshotBench> => SnapshotBench.open(makeDriver);
  const namesOf = async (
    bench: SnapshotBench,
    ...filters: Parameters<typeof bench.snapshots.walk>
  ): Promise<string[]> => (await Array.fromAsync(bench.snapshots.walk(...filters))).map(({ key }) => key).sort();

  describe("states", () => {
    it("goes from prepare to commit to child to view, and only comes down from the top (Basic)", async () => {
      await using bench = await open();
      const { snapshots } = bench;
      await bench.write("preparing", undefined, async (root) => {
        writeFileSync(join(root, "foo"), "foo\n");
        await mkdir(join(root, "a/b/c"), { recursive: true });
        writeFileSync(join(root, "a/b/c/deep"), "deep");
      });
      expect(await snapshots.stat("preparing")).toMatchObject({ kind: "active", parent: undefined });
      await snapshots.commit("committed", "preparing", { labels: { stage: "one" } });
      await expect(snapshots.stat("preparing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
      await expect(snapshots.mounts("preparing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
      await expect(snapshots.mounts("committed")).rejects.toEqual(code("SNAPSHOT_STATE"));
      expect(await snapshots.stat("committed")).toMatchObject({
        key: "committed",
        kind: "committed",
        parent: undefined,
        driver: snapshots.driver.name,
        labels: { stage: "one" },
      });

      await bench.layer("committed2", "committed", (root) => {
        expect(readFileSync(join(root, "foo"), "utf8")).toBe("foo\n");
        expect(readFileSync(join(root, "a/b/c/deep"), "utf8")).toBe("deep");
        writeFileSync(join(root, "bar"), "bar\n");
      });
      expect(await snapshots.stat("committed2")).toMatchObject({ kind: "committed", parent: "committed" });
      expect(await namesOf(bench)).toEqual(["committed", "committed2"]);
      expect(await bench.see("committed", (root) => readdir(root))).toEqual(expect.not.arrayContaining(["bar"]));
      expect((await bench.see("committed2", (root) => readdir(root))).sort()).toEqual(["a", "bar", "foo"]);

      await snapshots.view("view", "committed2");
      expect(await snapshots.stat("view")).toMatchObject({ kind: "view", parent: "committed2" });
      await expect(snapshots.remove("committed")).rejects.toEqual(code("SNAPSHOT_STATE"));
      await expect(snapshots.remove("committed2")).rejects.toEqual(code("SNAPSHOT_STATE"));
      for (const key of ["view", "committed2", "committed"]) await snapshots.remove(key);
      expect(await namesOf(bench)).toEqual([]);
      expect((await readdir(join(bench.store.root, "snapshots"))).filter((name) => /^\d+$/.test(name))).toEqual([]);
    });

    it("tells of an active snapshot, also of one without a parent (StatActive)", async () => {
      await using bench = await open();
      await bench.layer("base", undefined, nothing);
      await bench.snapshots.prepare("on nothing");
      await bench.snapshots.prepare("on base", "base", { labels: { of: "base" } });
      expect(await bench.snapshots.stat("on nothing")).toMatchObject({ kind: "active", parent: undefined, labels: {} });
      expect(await bench.snapshots.stat("on base")).toMatchObject({
        kind: "active",
        parent: "base",
        labels: { of: "base" },
      });
    });

    it("tells of a committed one by its name only, made when it was committed (StatComitted)", async () => {
      await using bench = await open();
      await bench.snapshots.prepare("key", undefined, { labels: { gone: "with the key" } });
      const before = await bench.snapshots.stat("key");
      const committed = await bench.snapshots.commit("name", "key");
      expect(await bench.snapshots.stat("name")).toEqual(committed);
      expect(committed).toMatchObject({ key: "name", kind: "committed", labels: {} });
      expect(committed.createdAt).toEqual(committed.updatedAt);
      expect(committed.createdAt.getTime()).toBeGreaterThanOrEqual(before.createdAt.getTime());
    });

    it("leads from child to parent to grandparent (TransitivityTest)", async () => {
      await using bench = await open();
      await bench.layer("bottom", undefined, nothing);
      await bench.layer("middle", "bottom", nothing);
      await bench.layer("top", "middle", nothing);
      const chain: string[] = [];
      for (let at: string | undefined = "top"; at !== undefined; at = (await bench.snapshots.stat(at)).parent)
        chain.push(at);
      expect(chain).toEqual(["top", "middle", "bottom"]);
    });

    it("takes no key twice, whatever it is prepared or viewed for (PreareViewFailingtest)", async () => {
      await using bench = await open();
      const { snapshots } = bench;
      await bench.layer("base", undefined, nothing);
      await snapshots.prepare("active", "base");
      await snapshots.view("view", "base");
      for (const key of ["active", "view", "base"]) {
        for (const parent of ["base", undefined]) {
          await expect(snapshots.prepare(key, parent)).rejects.toEqual(code("SNAPSHOT_EXISTS"));
          await expect(snapshots.view(key, parent)).rejects.toEqual(code("SNAPSHOT_EXISTS"));
        }
      }
      for (const parent of ["active", "view"]) {
        await expect(snapshots.prepare("new", parent)).rejects.toEqual(code("SNAPSHOT_STATE"));
        await expect(snapshots.view("new", parent)).rejects.toEqual(code("SNAPSHOT_STATE"));
      }
      await expect(snapshots.prepare("new", "missing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
      await expect(snapshots.view("new", "missing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
      await expect(snapshots.commit("name", "view")).rejects.toEqual(code("SNAPSHOT_STATE"));
      await expect(snapshots.commit("name", "base")).rejects.toEqual(code("SNAPSHOT_STATE"));
      await expect(snapshots.commit("base", "active")).rejects.toEqual(code("SNAPSHOT_EXISTS"));
      await expect(snapshots.commit("name", "missing")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
      // None of these has left a thing.
      expect(await namesOf(bench)).toEqual(["active", "base", "view"]);
    });

    it("changes labels, all or one, and nothing else (Update)", async () => {
      await using bench = await open();
      const { snapshots } = bench;
      await bench.layer("base", undefined, nothing);
      await snapshots.prepare("active", "base", { labels: { one: "1", two: "2" } });
      for (const key of ["base", "active"]) {
        const before = await snapshots.stat(key);
        const after = await snapshots.update(key, { three: "3" });
        expect(after).toEqual({ ...before, labels: { three: "3" }, updatedAt: after.updatedAt });
        expect(after.updatedAt.getTime()).toBeGreaterThan(before.updatedAt.getTime());
        expect(await snapshots.stat(key)).toEqual(after);
        const one = await snapshots.update(key, { four: "4", five: "5" }, ["labels.four"]);
        expect(one.labels).toEqual({ three: "3", four: "4" });
        expect((await snapshots.update(key, {}, ["labels.three"])).labels).toEqual({ four: "4" });
        expect((await snapshots.update(key, { a: "", b: "x" }, ["labels"])).labels).toEqual({ b: "x" });
        expect((await snapshots.update(key, {})).labels).toEqual({});
        for (const path of ["parent", "name", "kind", "created"]) {
          await expect(snapshots.update(key, {}, [path as "labels"])).rejects.toEqual(code("SNAPSHOT_INVALID"));
        }
      }
      await expect(snapshots.update("missing", {})).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    });

    it("gives keys and names free when they are removed, and keys when they are committed (Remove)", async () => {
      await using bench = await open();
      const { snapshots } = bench;
      for (let round = 0; round < 2; round++) {
        await bench.layer("name", undefined, (root) => writeFileSync(join(root, "round"), String(round)));
        await snapshots.prepare("name-active", "name");
        await snapshots.view("view", "name");
        expect(await bench.see("name", (root) => readFileSync(join(root, "round"), "utf8"))).toBe(String(round));
        for (const key of ["view", "name-active", "name"]) await snapshots.remove(key);
        await expect(snapshots.remove("name")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
      }
      expect(await namesOf(bench)).toEqual([]);
    });

    it("removes by the name after a commit, not by the key", async () => {
      await using bench = await open();
      await bench.layer("name", undefined, nothing);
      await expect(bench.snapshots.remove("name-active")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
      await bench.snapshots.remove("name");
      await expect(bench.snapshots.stat("name")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    });

    it("takes the middle out only after the top (RemoveIntermediateSnapshot)", async () => {
      await using bench = await open();
      const { snapshots } = bench;
      await bench.layer("base", undefined, nothing);
      await bench.layer("middle", "base", (root) => writeFileSync(join(root, "middle"), ""));
      await bench.write("top", "middle", nothing);
      await expect(snapshots.remove("middle")).rejects.toEqual(code("SNAPSHOT_STATE"));
      await expect(snapshots.remove("base")).rejects.toEqual(code("SNAPSHOT_STATE"));
      expect(await bench.see("middle", (root) => readdir(root))).toEqual(["middle"]);
      for (const key of ["top", "middle", "base"]) await snapshots.remove(key);
      expect(await namesOf(bench)).toEqual([]);
    });

    it("finds by kind, name, parent and labels, one filter or another (Walk)", async () => {
      await using bench = await open();
      const { snapshots } = bench;
      await bench.layer("a1", undefined, nothing, { labels: { l: "1", only: "a1" } });
      await bench.layer("a2", "a1", nothing, { labels: { l: "2" } });
      await snapshots.prepare("b1", "a2", { labels: { l: "1" } });
      await snapshots.view("v1", "a1");
      const cases: [Parameters<typeof snapshots.walk>[0], string[]][] = [
        [[], ["a1", "a2", "b1", "v1"]],
        [[{}], ["a1", "a2", "b1", "v1"]],
        [[{ kind: "active" }], ["b1"]],
        [[{ kind: "committed" }], ["a1", "a2"]],
        [
          [{ kind: "view" }, { kind: "active" }],
          ["b1", "v1"],
        ],
        [[{ name: "a2" }], ["a2"]],
        [[{ name: /^.1$/ }], ["a1", "b1", "v1"]],
        [[{ parent: "a1" }], ["a2", "v1"]],
        [[{ parent: "" }], ["a1"]],
        [[{ labels: { l: "1" } }], ["a1", "b1"]],
        [[{ labels: { l: true as const } }], ["a1", "a2", "b1"]],
        [[{ labels: { l: "1" }, kind: "active" }], ["b1"]],
        [[{ labels: { l: "1", only: "a1" } }], ["a1"]],
        [[{ labels: { valueOf: true } as Record<string, true> }], []],
        [[{ kind: "view", parent: "a2" }], []],
      ];
      for (const [filters, found] of cases) expect([filters, await namesOf(bench, filters)]).toEqual([filters, found]);
    });

    it("may be asked about all, changed and emptied while it is walked through (StatInWalk, remove in walk)", async () => {
      await using bench = await open();
      const { snapshots } = bench;
      await bench.layer("base", undefined, nothing);
      for (let index = 0; index < 5; index++) await snapshots.prepare(`active ${index}`, "base");
      for await (const info of snapshots.walk()) {
        expect(await snapshots.stat(info.key)).toEqual(info);
        await snapshots.update(info.key, { seen: "yes" });
      }
      for await (const { key } of snapshots.walk([{ kind: "active", labels: { seen: "yes" } }]))
        await snapshots.remove(key);
      expect(await namesOf(bench)).toEqual(["base"]);
    });

    it("tells what it takes: of an active one now, of a committed one as it was then", async () => {
      await using bench = await open();
      const { snapshots } = bench;
      await snapshots.prepare("active");
      const empty = await snapshots.usage("active");
      await bench.mounted(await snapshots.mounts("active"), (root) =>
        writeFileSync(join(root, "file"), Buffer.alloc(1 << 20, "varve")),
      );
      const full = await snapshots.usage("active");
      expect(full.bytes - empty.bytes).toBeGreaterThanOrEqual(1 << 20);
      expect(full.inodes).toBe(empty.inodes + 1);
      await snapshots.commit("name", "active");
      expect((await snapshots.usage("name")).bytes).toBeGreaterThanOrEqual(1 << 20);
      await expect(snapshots.usage("active")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    });

    it("may be closed twice (CloseTwice)", async () => {
      await using bench = await open();
      await bench.snapshots.prepare("key");
      await bench.store.close();
      await bench.store.close();
    });
  });
}
