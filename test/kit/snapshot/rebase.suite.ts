/** A parent that a snapshot gets only as it is committed (formats layer-apply "Chain IDs and snapshot rules"); see snapshotter.suite.ts. */
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SnapshotBench, type MakeDriver } from "./bench.ts";

const code = (code: string): { code: string } => expect.objectContaining({ code }) as { code: string };

export function rebaseCases(makeDriver: MakeDriver): void {
  const open = async (): Promise<SnapshotBench> => {
    const bench = await SnapshotBench.open(makeDriver);
    await bench.layer("base", undefined, async (root) => {
      writeFileSync(join(root, "of base"), "base");
      writeFileSync(join(root, "of both"), "base");
      await mkdir(join(root, "directory"));
      writeFileSync(join(root, "directory/of base"), "base");
    });
    return bench;
  };
  const write = (bench: SnapshotBench, key: string, parent?: string): Promise<void> =>
    bench.write(key, parent, async (root) => {
      writeFileSync(join(root, "of both"), "late");
      await mkdir(join(root, "directory"), { recursive: true });
      writeFileSync(join(root, "directory/of late"), "late");
    });

  describe("a parent that comes late", () => {
    it("stands below what was written without it", async () => {
      await using bench = await open();
      await write(bench, "active");
      await bench.snapshots.commit("late", "active", { parent: "base" });
      expect(await bench.snapshots.stat("late")).toMatchObject({ parent: "base", kind: "committed" });
      await bench.see("late", async (root) => {
        expect((await readdir(root)).sort()).toEqual(["directory", "of base", "of both"]);
        expect((await readdir(join(root, "directory"))).sort()).toEqual(["of base", "of late"]);
        expect(readFileSync(join(root, "of both"), "utf8")).toBe("late");
      });
      await expect(bench.snapshots.remove("base")).rejects.toEqual(code("SNAPSHOT_STATE"));
    });

    it("may be the one that it has, or go unsaid", async () => {
      await using bench = await open();
      await write(bench, "one", "base");
      await write(bench, "two", "base");
      await bench.snapshots.commit("said", "one", { parent: "base" });
      await bench.snapshots.commit("unsaid", "two");
      for (const name of ["said", "unsaid"]) {
        expect(await bench.snapshots.stat(name)).toMatchObject({ parent: "base" });
        expect((await bench.see(name, (root) => readdir(root))).sort()).toEqual(["directory", "of base", "of both"]);
      }
    });

    it("must be there, committed, and not another than it has; otherwise all stays as it was", async () => {
      await using bench = await open();
      const { snapshots } = bench;
      await bench.layer("other", undefined, () => {});
      await write(bench, "on nothing");
      await write(bench, "on base", "base");
      await snapshots.prepare("active");
      await snapshots.view("view", "base");
      await expect(snapshots.commit("n", "on nothing", { parent: "missing" })).rejects.toEqual(
        code("SNAPSHOT_NOT_FOUND"),
      );
      await expect(snapshots.commit("n", "on nothing", { parent: "active" })).rejects.toEqual(code("SNAPSHOT_STATE"));
      await expect(snapshots.commit("n", "on nothing", { parent: "view" })).rejects.toEqual(code("SNAPSHOT_STATE"));
      await expect(snapshots.commit("n", "on base", { parent: "other" })).rejects.toEqual(code("SNAPSHOT_INVALID"));
      expect(await snapshots.stat("on nothing")).toMatchObject({ kind: "active", parent: undefined });
      expect(await snapshots.stat("on base")).toMatchObject({ kind: "active", parent: "base" });
      await snapshots.commit("n", "on nothing", { parent: "base" });
      await snapshots.commit("m", "on base");
    });
  });
}
