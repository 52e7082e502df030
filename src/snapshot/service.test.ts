/** What the service sees to, whatever the driver: order, failures, others at work on the same. The rest is in the snapshotter suite. */
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { layeredImage } from "../../test/kit/snapshot/layered-image.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import { StoreLayout } from "../store/layout.ts";
import { openStore, type Store } from "../store/store.ts";
import { CopyDriver } from "./copy/driver.ts";
import { Snapshots } from "./service.ts";
import { isStaged } from "./staged.ts";
import type { BindOptions, Bound, SnapshotRecord } from "./types.ts";

const code = (code: string): { code: string } => expect.objectContaining({ code }) as { code: string };

/** A driver to which things happen at the worst moment, and that holds layers by their DiffIDs. */
class Eventful extends CopyDriver {
  onCreate: () => unknown = () => {};
  onMounts: () => void = () => {};
  onBind: (options: BindOptions) => unknown = () => {};
  readonly held = new Set<Digest>();
  readonly asked: boolean[] = [];

  override async create(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[]): Promise<void> {
    await super.create(snapshot, parents);
    await this.onCreate();
  }

  override async bind(...given: Parameters<CopyDriver["bind"]>): Promise<Bound> {
    this.asked.push(given[2].sync ?? true);
    await this.onBind(given[2]);
    return super.bind(...given);
  }

  override mounts(...given: Parameters<CopyDriver["mounts"]>): ReturnType<CopyDriver["mounts"]> {
    this.onMounts();
    return super.mounts(...given);
  }

  override holds(diffId?: Digest): Promise<boolean> {
    return Promise.resolve(this.held.has(diffId!));
  }

  override async adopt(snapshot?: SnapshotRecord, parents: readonly SnapshotRecord[] = []): Promise<Bound> {
    await super.create(snapshot!, parents);
    await this.onBind({});
    return { bytes: 1, inodes: 1 };
  }
}

interface Scene extends AsyncDisposable {
  readonly store: Store;
  readonly driver: Eventful;
  readonly snapshots: Snapshots;
  readonly layout: StoreLayout;
  keys(): Promise<string[]>;
  folders(): Promise<string[]>;
}

async function scene(): Promise<Scene> {
  await using cleanup = new AsyncDisposableStack();
  const dir = cleanup.use(await tempDir());
  const store = cleanup.use(await openStore(join(dir.path, "store"), { sync: false }));
  const driver = new Eventful(store);
  const snapshots = new Snapshots({ store, driver, sync: false });
  const layout = new StoreLayout(store.root);
  const held = cleanup.move();
  return {
    store,
    driver,
    snapshots,
    layout,
    keys: async () => (await Array.fromAsync(snapshots.walk())).map(({ key }) => key),
    folders: async () => (existsSync(layout.snapshots) ? (await readdir(layout.snapshots)).sort() : []),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

describe("making a snapshot", () => {
  it("leaves nothing when the driver fails, and the key is free", async () => {
    await using on = await scene();
    on.driver.onCreate = () => Promise.reject(Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }));
    await expect(on.snapshots.prepare("key")).rejects.toThrow("ENOSPC");
    expect([await on.keys(), await on.folders()]).toEqual([[], []]);
    on.driver.onCreate = () => {};
    await on.snapshots.prepare("key");
  });

  it.each(["prepare", "view"] as const)("leaves nothing when %s cannot say how to mount it", async (make) => {
    await using on = await scene();
    on.driver.onMounts = () => {
      throw new Error("no mount");
    };
    await expect(on.snapshots[make]("key")).rejects.toThrow("no mount");
    expect([await on.keys(), await on.folders()]).toEqual([[], []]);
    on.driver.onMounts = () => {};
    await on.snapshots[make]("key");
  });

  it("fails when its parent is removed meanwhile, and says that", async () => {
    await using on = await scene();
    await on.snapshots.prepare("a");
    await on.snapshots.commit("base", "a");
    on.driver.onCreate = async () => {
      on.driver.onCreate = () => {};
      await on.snapshots.remove("base");
      throw new Error("what a driver meets whose parent's files are gone");
    };
    await expect(on.snapshots.prepare("key", "base")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    on.driver.onCreate = () => {};
    expect([await on.keys(), await on.folders()]).toEqual([[], []]);
  });

  it("fails when its parent is removed and another made in its name", async () => {
    await using on = await scene();
    const base = async (): Promise<void> => {
      await on.snapshots.prepare("a");
      await on.snapshots.commit("base", "a");
    };
    await base();
    on.driver.onCreate = async () => {
      on.driver.onCreate = () => {};
      await on.snapshots.remove("base");
      await base();
    };
    await expect(on.snapshots.prepare("key", "base")).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    expect(await on.keys()).toEqual(["base"]);
  });

  it("gives one of two who want the same key at once", async () => {
    await using on = await scene();
    const results = await Promise.allSettled([on.snapshots.prepare("key"), on.snapshots.view("key")]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(results.find((result) => result.status === "rejected")?.reason).toEqual(code("SNAPSHOT_EXISTS"));
    expect(await on.folders()).toHaveLength(1);
  });

  it("takes no folder that is there, as when the database was lost", async () => {
    await using on = await scene();
    for (const id of [1, 2, 70]) {
      await mkdir(join(on.layout.snapshot(id), "fs"), { recursive: true });
      await writeFile(join(on.layout.snapshot(id), "fs/file"), "of another life");
    }
    const [mount] = await on.snapshots.prepare("key");
    expect(mount?.source).toBe(join(on.layout.snapshot(71), "fs"));
    expect(await readdir(mount!.source)).toEqual([]);
  });
});

describe("committing", () => {
  it("leaves the snapshot as it is when binding fails, for another try", async () => {
    await using on = await scene();
    await on.snapshots.prepare("key");
    on.driver.onBind = () => Promise.reject(new Error("no"));
    await expect(on.snapshots.commit("name", "key")).rejects.toThrow("no");
    expect(await on.snapshots.stat("key")).toMatchObject({ kind: "active" });
    on.driver.onBind = () => {};
    await on.snapshots.commit("name", "key");
    expect(await on.keys()).toEqual(["name"]);
  });

  it("gives one of two who want the same name at once, and the other keeps what it has", async () => {
    await using on = await scene();
    for (const key of ["one", "two"]) await on.snapshots.prepare(key);
    let binding = 0;
    on.driver.onBind = () => {
      expect(++binding).toBe(1);
    };
    const results = await Promise.allSettled(["one", "two"].map((key) => on.snapshots.commit("name", key)));
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(results.find((result) => result.status === "rejected")?.reason).toEqual(code("SNAPSHOT_EXISTS"));
    expect((await on.keys()).length).toBe(2);
  });

  it("fails when the parent is removed meanwhile", async () => {
    await using on = await scene();
    await on.snapshots.prepare("a");
    await on.snapshots.commit("base", "a");
    await on.snapshots.prepare("key");
    on.driver.onBind = () => on.snapshots.remove("base");
    await expect(on.snapshots.commit("name", "key", { parent: "base" })).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    expect(await on.keys()).toEqual(["key"]);
  });

  it("makes what it commits durable unless told otherwise", async () => {
    await using on = await scene();
    const durable = new Snapshots({ store: on.store, driver: on.driver });
    for (const [name, snapshots, options] of [
      ["1", on.snapshots, {}],
      ["2", durable, {}],
      ["3", durable, { sync: false }],
      ["4", on.snapshots, { sync: true }],
    ] as const) {
      await snapshots.prepare("key");
      await snapshots.commit(name, "key", options);
    }
    expect(on.driver.asked).toEqual([false, true, false, true]);
  });

  it("waits for whoever is at work on the snapshot, and can be stopped then", async () => {
    await using on = await scene();
    await on.snapshots.prepare("key");
    const { id } = await on.store.snapshots.find("copy", "key");
    using _lock = await on.store.locks.snapshot(id);
    const stop = new AbortController();
    const waiting = on.snapshots.commit("name", "key", { signal: stop.signal });
    const removing = on.snapshots.remove("key", { signal: stop.signal });
    stop.abort();
    await expect(waiting).rejects.toEqual(code("INTERRUPTED"));
    await expect(removing).rejects.toEqual(code("INTERRUPTED"));
    expect(await on.keys()).toEqual(["key"]);
  });

  it("lets a driver claim a layer that only it knows", async () => {
    await using on = await scene();
    await on.snapshots.prepare("key");
    const diffId = digestOf("found out while it is bound");
    on.driver.onBind = async ({ claim }) => {
      await claim!(diffId);
      expect(await on.store.snapshots.idsOfLayer("copy", diffId)).toHaveLength(1);
    };
    await on.snapshots.commit("name", "key");
    expect((await on.store.snapshots.find("copy", "name")).diffId).toBe(diffId);
  });
});

describe("a staged layer", () => {
  it("is committed under its name, or gone when it is given up", async () => {
    await using on = await scene();
    const [first, second] = layeredImage(2);
    {
      await using staged = await on.snapshots.stage(first!.diffId);
      expect(staged.target).toBeUndefined();
      const entry = await on.store.snapshots.find("copy", staged.key);
      expect(isStaged(entry)).toBe(true);
      expect(entry.diffId).toBe(first!.diffId);
      expect(on.store.locks.isStageHeld(entry.id)).toBe(true);
      const committed = await on.snapshots.commit(first!.chainId, staged.key, { tar: first!.open });
      expect(committed.report).toMatchObject({ entries: 5, skipped: { owners: 0 } });
    }
    {
      await using _staged = await on.snapshots.stage(second!.diffId);
      expect(await on.keys()).toHaveLength(2);
    }
    expect(await on.keys()).toEqual([first!.chainId]);
    expect(await on.snapshots.has(first!.chainId)).toBe(true);
    expect(await on.snapshots.has(second!.chainId)).toBe(false);
    expect(await on.folders()).toHaveLength(1);
    expect(await readdir(on.layout.locks)).not.toContainEqual(expect.stringMatching(/^(stage|chain|snapshot|layer)-/));
  });

  it("is refused when its tar is another, and can be given up then", async () => {
    await using on = await scene();
    const [first, second] = layeredImage(2);
    {
      await using staged = await on.snapshots.stage(first!.diffId);
      const wrong = on.snapshots.commit(first!.chainId, staged.key, { tar: second!.open });
      await expect(wrong).rejects.toEqual(code("DIFFID_MISMATCH"));
    }
    expect([await on.keys(), await on.folders()]).toEqual([[], []]);
  });

  it("is unpacked by one at a time", async () => {
    await using on = await scene();
    const [layer] = layeredImage(1);
    const other = new Snapshots({ store: on.store, driver: on.driver });
    const first = await on.snapshots.lockLayer(layer!.diffId);
    await expect(other.lockLayer(layer!.diffId, { wait: false })).rejects.toEqual(code("STORE_BUSY"));
    const { promise: waits, resolve: onWait } = Promise.withResolvers<void>();
    const second = other.lockLayer(layer!.diffId, { onWait });
    await waits;
    first[Symbol.dispose]();
    (await second)[Symbol.dispose]();
  });
});

describe("adopting a layer that is held", () => {
  it("makes a committed snapshot of it, under any parent", async () => {
    await using on = await scene();
    const [first, second] = layeredImage(2);
    await on.snapshots.prepare("a");
    await on.snapshots.commit(first!.chainId, "a");
    on.driver.held.add(second!.diffId);
    const adopted = await on.snapshots.adopt(second!.chainId, first!.chainId, second!.diffId, { labels: { l: "1" } });
    expect(adopted).toMatchObject({ kind: "committed", parent: first!.chainId, labels: { l: "1" } });
    expect((await on.store.snapshots.find("copy", second!.chainId)).diffId).toBe(second!.diffId);
    const again = on.snapshots.adopt(second!.chainId, first!.chainId, second!.diffId);
    await expect(again).rejects.toEqual(code("SNAPSHOT_EXISTS"));
    expect(await on.folders()).toHaveLength(2);
  });

  it("says that it is not held, also when it goes at the last moment, and leaves nothing", async () => {
    await using on = await scene();
    const [layer] = layeredImage(1);
    const { diffId, chainId } = layer!;
    expect(await on.snapshots.adopt(chainId, undefined, diffId)).toBeUndefined();
    on.driver.held.add(diffId);
    on.driver.onBind = () => {
      on.driver.held.delete(diffId);
      throw new Error("what a driver meets whose files are gone");
    };
    expect(await on.snapshots.adopt(chainId, undefined, diffId)).toBeUndefined();
    on.driver.held.add(diffId);
    on.driver.onBind = () => {
      throw new Error("another reason");
    };
    await expect(on.snapshots.adopt(chainId, undefined, diffId)).rejects.toThrow("another reason");
    await expect(on.snapshots.adopt(chainId, "missing", diffId)).rejects.toEqual(code("SNAPSHOT_NOT_FOUND"));
    expect([await on.keys(), await on.folders()]).toEqual([[], []]);
  });
});

describe("removing", () => {
  it("takes a snapshot out whose folder is gone already", async () => {
    await using on = await scene();
    await on.snapshots.prepare("key");
    await rm(on.layout.snapshots, { recursive: true });
    await on.snapshots.remove("key");
    expect(await on.keys()).toEqual([]);
  });
});
