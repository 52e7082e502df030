/** Processes at work on one store that are killed at any step, or many at once: what is committed is whole, and all else can be swept. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { layeredImage } from "../../test/kit/snapshot/layered-image.ts";
import { startSnapshotProcess, type SnapshotJob } from "../../test/kit/snapshot/snapshot-process.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";

import { StoreLayout } from "../store/layout.ts";
import { openStore, type Store } from "../store/store.ts";
import { CopyDriver } from "./copy/driver.ts";
import { namesIn } from "./folder.ts";
import { Snapshots } from "./service.ts";
import { sweepSnapshots } from "./sweep.ts";

interface Scene extends AsyncDisposable {
  readonly path: string;
  readonly store: Store;
  readonly driver: CopyDriver;
  readonly snapshots: Snapshots;
  /** All rows and all folders that there are. */
  state(): Promise<{ keys: string[]; folders: string[] }>;
  run(job: Omit<SnapshotJob, "root">): Promise<{ words: string[]; signal: NodeJS.Signals | null }>;
}

async function scene(): Promise<Scene> {
  await using cleanup = new AsyncDisposableStack();
  const { path } = cleanup.use(await tempDir());
  const store = cleanup.use(await openStore(join(path, "store"), { sync: false }));
  const driver = new CopyDriver(store);
  const snapshots = new Snapshots({ store, driver, sync: false });
  const { snapshots: folders } = new StoreLayout(store.root);
  const held = cleanup.move();
  return {
    path,
    store,
    driver,
    snapshots,
    state: async () => ({
      keys: (await Array.fromAsync(snapshots.walk())).map(({ key }) => key).sort(),
      folders: await namesIn(folders),
    }),
    run: async (job) => {
      await using child = startSnapshotProcess({ root: store.root, ...job });
      return await child.ended();
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Holds every committed layer of an image that is there to what one directory would hold. */
async function expectWhole(on: Scene, layers: ReturnType<typeof layeredImage>): Promise<number> {
  let there = 0;
  for (const [index, { chainId }] of layers.entries()) {
    if (!(await on.snapshots.has(chainId))) continue;
    there++;
    const flat = join(on.path, `flat-${Math.random()}`);
    await mkdir(flat);
    await applyAll(
      flat,
      layers.slice(0, index + 1).map(({ tar }) => tar),
    );
    const key = `check-${chainId}`;
    const [mount] = await on.snapshots.view(key, chainId);
    expect(diffTrees(await readTree(mount!.source), await readTree(flat))).toEqual([]);
    await on.snapshots.remove(key);
  }
  return there;
}

describe("a process that is killed", () => {
  it.each(["reserved", "made", "recorded"])("making a snapshot, at '%s'", async (dieAt) => {
    await using on = await scene();
    const died = await on.run({ act: "prepare", key: "key", dieAt });
    expect(died.signal).toBe("SIGKILL");
    expect((await on.state()).keys).toEqual(dieAt === "recorded" ? ["key"] : []);
    if (dieAt === "recorded") await on.snapshots.remove("key");
    await on.run({ act: "prepare", key: "key" });
    await sweepSnapshots({ store: on.store, drivers: [on.driver] });
    const { keys, folders } = await on.state();
    expect([keys, folders.length]).toEqual([["key"], 1]);
  });

  it.each(["bound", "committed"])("committing, at '%s'", async (dieAt) => {
    await using on = await scene();
    await on.snapshots.prepare("a");
    await on.snapshots.commit("base", "a");
    await on.snapshots.prepare("key");
    expect((await on.run({ act: "commit", key: "key", name: "name", parent: "base", dieAt })).signal).toBe("SIGKILL");
    if (dieAt === "bound") {
      expect((await on.state()).keys).toEqual(["base", "key"]);
      await on.snapshots.commit("name", "key", { parent: "base" });
    }
    expect((await on.state()).keys).toEqual(["base", "name"]);
    await sweepSnapshots({ store: on.store, drivers: [on.driver] });
    expect((await on.state()).folders).toHaveLength(2);
  });

  it.each(["out", "removed"])("removing, at '%s'", async (dieAt) => {
    await using on = await scene();
    for (const key of ["key", "other"]) await on.snapshots.prepare(key);
    expect((await on.run({ act: "remove", key: "key", dieAt })).signal).toBe("SIGKILL");
    expect((await on.state()).keys).toEqual(["other"]);
    await on.snapshots.prepare("key");
    await sweepSnapshots({ store: on.store, drivers: [on.driver] });
    const { keys, folders } = await on.state();
    expect([keys, folders.length]).toEqual([["key", "other"], 2]);
  });

  it.each(["reserved", "made", "recorded", "bound", "committed"])("unpacking an image, at '%s'", async (dieAt) => {
    await using on = await scene();
    const layers = layeredImage(3);
    expect((await on.run({ act: "unpack", layers: 3, dieAt })).signal).toBe("SIGKILL");
    expect(await expectWhole(on, layers)).toBe(dieAt === "committed" ? 1 : 0);
    // What was committed is found by the next who wants it, the rest is swept.
    const swept = await sweepSnapshots({ store: on.store, drivers: [on.driver] });
    const leaves = dieAt === "recorded" || dieAt === "bound";
    expect(swept.snapshots.count).toBe(leaves ? 1 : 0);
    expect(swept.folders.count).toBe(dieAt === "made" ? 1 : 0);
    const { words } = await on.run({ act: "unpack", layers: 3 });
    expect(words.filter((word) => word === "committed")).toHaveLength(dieAt === "committed" ? 2 : 3);
    expect(await expectWhole(on, layers)).toBe(3);
    expect((await on.state()).folders).toHaveLength(3);
  });
});

describe("a staged layer of another process", () => {
  it("stays as long as that process lives, and goes when it is dead", async () => {
    await using on = await scene();
    await using child = startSnapshotProcess({ root: on.store.root, act: "stage" });
    await child.said("staged");
    const sweep = (dryRun: boolean): ReturnType<typeof sweepSnapshots> =>
      sweepSnapshots({ store: on.store, drivers: [on.driver], dryRun });
    for (const dryRun of [true, false]) expect((await sweep(dryRun)).snapshots.count).toBe(0);
    expect((await on.state()).keys).toHaveLength(1);
    await child.kill();
    for (const dryRun of [true, false]) expect((await sweep(dryRun)).snapshots.count).toBe(1);
    expect(await on.state()).toEqual({ keys: [], folders: [] });
  });
});

describe("several processes on one store", () => {
  it("end with one snapshot of each name when they unpack the same image at once", async () => {
    await using on = await scene();
    const children = Array.from({ length: 4 }, () => on.run({ act: "unpack", layers: 4 }));
    const words = (await Promise.all(children)).flatMap(({ words }) => words);
    expect(words.filter((word) => word === "done")).toHaveLength(4);
    expect(words.filter((word) => word === "committed")).toHaveLength(4);
    const layers = layeredImage(4);
    expect(await expectWhole(on, layers)).toBe(4);
    const { keys, folders } = await on.state();
    expect([keys, folders.length]).toEqual([layers.map(({ chainId }) => chainId).sort(), 4]);
  });

  it("may unpack and sweep at once: nobody fails, what is there is whole, and nothing is left over", async () => {
    await using on = await scene();
    await Promise.all([
      ...[1, 2, 3].map((seed) => on.run({ act: "churn", seed, rounds: 12 })),
      on.run({ act: "sweep", rounds: 40 }),
    ]);
    for (const seed of [0, 1]) await expectWhole(on, layeredImage(4, seed));
    await sweepSnapshots({ store: on.store, drivers: [on.driver] });
    expect(await on.state()).toEqual({ keys: [], folders: [] });
  });
});
