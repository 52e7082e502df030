import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canMount } from "../../test/kit/mounts/can-mount.ts";
import { mountDir } from "../../test/kit/mounts/mount-dir.ts";
import { putImage, type StoredImage } from "../../test/kit/store/put-image.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import { parseImageConfig } from "../oci/config.ts";
import { StoreLayout } from "../store/layout.ts";
import { openStore, type Store } from "../store/store.ts";
import { CopyDriver } from "./copy/driver.ts";
import { ErofsDriver } from "./erofs/driver.ts";
import { exists, namesIn } from "./folder.ts";
import { mountAll } from "./mount-all.ts";
import { Snapshots } from "./service.ts";
import { sweepSnapshots, type SweepOptions, type SweptSnapshots } from "./sweep.ts";
import type { Driver, DriverName } from "./types.ts";

const NOW = 1_700_000_000_000;

interface Scene extends AsyncDisposable {
  readonly store: Store;
  readonly layout: StoreLayout;
  readonly snapshots: Snapshots;
  time: number;
  /** An image of one layer, unpacked. @returns its ChainID, which is its DiffID too */
  image(name: string, text: string): Promise<StoredImage & { readonly layerId: Digest }>;
  layer(name: string, parent?: string): Promise<void>;
  sweep(options?: Partial<SweepOptions>): Promise<SweptSnapshots>;
  keys(): Promise<string[]>;
}

async function scene(name: DriverName = "copy"): Promise<Scene> {
  await using cleanup = new AsyncDisposableStack();
  const dir = cleanup.use(await mountDir());
  const on = { time: NOW } as Scene;
  const store = cleanup.use(await openStore(join(dir.path, "store"), { sync: false, clock: () => on.time }));
  const driver: Driver = Object.defineProperty(new CopyDriver(store), "name", { value: name });
  const snapshots = new Snapshots({ store, driver, sync: false });
  const held = cleanup.move();
  const layer: Scene["layer"] = async (name, parent) => {
    await snapshots.prepare(`${name}-active`, parent);
    await snapshots.commit(name, `${name}-active`);
  };
  return Object.assign(on, {
    store,
    layout: new StoreLayout(store.root),
    snapshots,
    layer,
    image: async (name: string, text: string) => {
      const image = await putImage(store, name, { text });
      const config = parseImageConfig(await store.content.readBytes(image.config.digest, 1 << 20));
      const layerId = config.rootfs.diffIds[0]!;
      if (!(await snapshots.has(layerId))) await layer(layerId);
      return { ...image, layerId };
    },
    sweep: (options: Partial<SweepOptions> = {}) => sweepSnapshots({ store, drivers: [driver], ...options }),
    keys: async () => (await Array.fromAsync(snapshots.walk())).map(({ key }) => key).sort(),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  });
}

/** What a dry run tells must be what then happens. */
async function sweepTwice(on: Scene, options: Partial<SweepOptions> = {}): Promise<SweptSnapshots> {
  const before = await on.keys();
  const told = await on.sweep({ ...options, dryRun: true });
  expect(await on.keys()).toEqual(before);
  const done = await on.sweep(options);
  expect(done).toEqual(told);
  return done;
}

const digest = (text: string): Digest => digestOf(text);

describe("what a committed snapshot was made of", () => {
  it("goes with the next sweep when its process died before it cleared that away, and not in a dry run", async () => {
    await using dir = await mountDir();
    await using store = await openStore(join(dir.path, "store"), { sync: false });
    const driver = new ErofsDriver(store);
    const snapshots = new Snapshots({ store, driver, sync: false });
    await snapshots.prepare("active");
    await snapshots.commit("base", "active");
    const { id } = await store.snapshots.find("erofs", "base");
    const left = join(new StoreLayout(store.root).snapshot(id), "fs");
    await mkdir(left);
    await writeFile(join(left, "file"), "written before it was committed");
    await sweepSnapshots({ store, drivers: [driver], dryRun: true });
    expect(await exists(left)).toBe(true);
    await sweepSnapshots({ store, drivers: [driver] });
    expect(await exists(left)).toBe(false);
    expect((await snapshots.stat("base")).kind).toBe("committed");
  });
});

describe("sweeping layers of images", () => {
  it("keeps those that an image wants, whatever else is named so, and takes the rest from the top down", async () => {
    await using on = await scene();
    const wanted = await on.image("a.example/one:1", "wanted");
    const [bottom, middle, top] = [digest("bottom"), digest("middle"), digest("top")];
    await on.layer(bottom);
    await on.layer(middle, bottom);
    await on.layer(top, middle);
    await on.layer("made by a user");
    await on.layer(digest("below what a user made"));
    await on.layer("on an image", digest("below what a user made"));
    const { snapshots, folders, broken } = await sweepTwice(on);
    expect([snapshots.count, folders.count, broken]).toEqual([3, 0, []]);
    expect(snapshots.bytes).toBeGreaterThan(0);
    expect(await on.keys()).toEqual(
      [wanted.layerId, "made by a user", digest("below what a user made"), "on an image"].sort(),
    );
    await on.store.images.delete("a.example/one:1");
    expect((await sweepTwice(on)).snapshots.count).toBe(1);
  });

  it("takes those of a parent that came late, though it is younger", async () => {
    await using on = await scene();
    await on.snapshots.prepare("older");
    await on.layer(digest("younger"));
    await on.snapshots.commit(digest("older"), "older", { parent: digest("younger") });
    expect((await sweepTwice(on)).snapshots.count).toBe(2);
    expect(await on.keys()).toEqual([]);
  });

  it("keeps those below an active snapshot or a view, as long as it is there", async () => {
    await using on = await scene();
    const [bottom, top] = [digest("bottom"), digest("top")];
    await on.layer(bottom);
    await on.layer(top, bottom);
    await on.snapshots.prepare("active", bottom);
    await on.snapshots.view("view", top);
    expect((await sweepTwice(on)).snapshots.count).toBe(0);
    await on.snapshots.remove("view");
    expect((await sweepTwice(on)).snapshots.count).toBe(1);
    await on.snapshots.remove("active");
    expect((await sweepTwice(on)).snapshots.count).toBe(1);
  });

  it("keeps those that are leased, and with them what they stand on", async () => {
    await using on = await scene();
    const [bottom, top] = [digest("bottom"), digest("top")];
    await on.layer(bottom);
    await on.layer(top, bottom);
    const lease = await on.store.leases.create(1000);
    await lease.add(top);
    expect((await sweepTwice(on)).snapshots.count).toBe(0);
    await lease.leave("a.example/unfinished:1");
    expect((await sweepTwice(on)).snapshots.count).toBe(0);
    expect((await sweepTwice(on, { unfinishedMs: 0 })).snapshots.count).toBe(2);
    expect(await on.keys()).toEqual([]);
  });

  it("keeps those of an image that is recorded while it sweeps", async () => {
    await using on = await scene();
    const { layerId, entry } = await on.image("a.example/one:1", "late");
    await on.layer(digest("not wanted"));
    await on.store.images.delete("a.example/one:1");
    await on.snapshots.prepare("asked about");
    const isAbandoned = async (): Promise<boolean> => {
      await on.store.images.put(entry);
      return false;
    };
    expect((await on.sweep({ isAbandoned })).snapshots.count).toBe(1);
    expect(await on.keys()).toEqual(["asked about", layerId].sort());
  });

  it("keeps those of an image that is being read, though its name is gone", async () => {
    await using on = await scene();
    const { entry } = await on.image("a.example/one:1", "read");
    const use = on.store.locks.use(entry.manifest.digest);
    await on.store.images.delete("a.example/one:1");
    expect((await sweepTwice(on)).snapshots.count).toBe(0);
    use[Symbol.dispose]();
    expect((await sweepTwice(on)).snapshots.count).toBe(1);
  });

  it("takes none while nobody can say what an image wants, and says why", async () => {
    await using on = await scene();
    const { config } = await on.image("a.example/one:1", "broken");
    await on.layer(digest("not wanted"));
    await on.snapshots.stage(digest("staged"));
    await writeFile(on.store.content.pathOf(config.digest), "damaged");
    const swept = await sweepTwice(on);
    expect(swept.broken).toEqual([{ image: "a.example/one:1", reason: "its config is damaged" }]);
    expect(swept.snapshots.count).toBe(0);
  });

  it("leaves snapshots of drivers that it does not know", async () => {
    await using on = await scene();
    await on.layer(digest("not wanted"));
    expect((await sweepTwice(on, { drivers: [] })).snapshots.count).toBe(0);
  });

  it("takes active snapshots and views only when they are abandoned", async () => {
    await using on = await scene();
    await on.snapshots.prepare("kept");
    await on.snapshots.prepare("left", undefined, { labels: { left: "yes" } });
    await on.snapshots.view("left view", undefined, { labels: { left: "yes" } });
    expect((await sweepTwice(on)).snapshots.count).toBe(0);
    const isAbandoned: SweepOptions["isAbandoned"] = ({ labels }) => labels["left"] === "yes";
    expect((await sweepTwice(on, { isAbandoned })).snapshots.count).toBe(2);
    expect(await on.keys()).toEqual(["kept"]);
  });
});

describe("sweeping folders", () => {
  it("takes those that nothing names, and none that is only being made", async () => {
    await using on = await scene();
    await on.snapshots.prepare("active");
    const { id } = await on.store.snapshots.find("copy", "active");
    for (const name of ["4000", "4001", ".gone-17", "notes"]) {
      await mkdir(join(on.layout.snapshots, name, "fs"), { recursive: true });
      await writeFile(join(on.layout.snapshots, name, "fs/file"), "x".repeat(5000));
    }
    {
      using _making = await on.store.locks.snapshot(4001);
      const { folders } = await sweepTwice(on);
      expect(folders.count).toBe(2);
      expect(folders.bytes).toBeGreaterThan(10_000);
    }
    expect((await namesIn(on.layout.snapshots)).sort()).toEqual([String(id), "4001", "notes"].sort());
    expect((await sweepTwice(on)).folders.count).toBe(1);
  });

  it.skipIf(!canMount())("goes into nothing that is mounted there", async () => {
    await using on = await scene();
    const elsewhere = join(on.store.root, "../elsewhere");
    const point = join(on.layout.snapshots, "4000/fs/mounted");
    for (const path of [elsewhere, point]) await mkdir(path, { recursive: true });
    await writeFile(join(elsewhere, "precious"), "x");
    await mountAll([{ type: "bind", source: elsewhere, options: ["rw"] }], point);
    expect((await on.sweep()).folders.count).toBe(0);
    expect(await namesIn(elsewhere)).toEqual(["precious"]);
  });

  it("keeps a tree that others share until the last of them is gone", async () => {
    await using on = await scene();
    const [one, two] = [digest("one"), digest("two")];
    await on.layer(one);
    const owner = await on.store.snapshots.find("copy", one);
    await on.store.snapshots.create("copy", "sharer", "active");
    await on.store.snapshots.commit("copy", "sharer", two, { usage: { bytes: 0, inodes: 0 }, tree: owner.id });
    await on.snapshots.remove(one);
    await using lease = await on.store.leases.create();
    await lease.add(two);
    const swept = await sweepTwice(on);
    expect([swept.snapshots.count, swept.folders.count]).toEqual([0, 0]);
    await lease.release();
    expect((await sweepTwice(on)).snapshots.bytes).toBeGreaterThan(0);
    expect(await namesIn(on.layout.snapshots)).toEqual([]);
  });
});

describe("sweeping unpacked layers", () => {
  async function put(on: Scene, diffId: Digest): Promise<string> {
    const path = on.layout.layer(diffId);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "layer.tar"), "x".repeat(10_000));
    return path;
  }

  it("takes those that no snapshot is made of", async () => {
    await using on = await scene("erofs");
    const [used, unused] = [digest("used"), digest("unused")];
    await on.layer(digest("chain"));
    await on.store.snapshots.create("erofs", "made", "active", undefined, { diffId: used });
    for (const diffId of [used, unused]) await put(on, diffId);
    await mkdir(join(on.layout.layers, "sha256/.gone-abc"));
    await mkdir(join(on.layout.layers, "sha256/no digest"));
    const { layers } = await sweepTwice(on);
    expect(layers.count).toBe(2);
    expect(layers.bytes).toBeGreaterThan(10_000);
    expect((await namesIn(join(on.layout.layers, "sha256"))).sort()).toEqual([used.slice(7), "no digest"].sort());
    await on.snapshots.remove("made");
    expect((await sweepTwice(on)).layers.count).toBe(1);
  });

  it("takes one in the same run as the last snapshot of it", async () => {
    await using on = await scene("erofs");
    const { layerId } = await on.image("a.example/one:1", "text");
    await on.snapshots.remove(layerId);
    await using staged = await on.snapshots.stage(layerId);
    await on.snapshots.commit(layerId, staged.key);
    await put(on, layerId);
    expect((await sweepTwice(on)).layers.count).toBe(0);
    await on.store.images.delete("a.example/one:1");
    const swept = await sweepTwice(on);
    expect([swept.snapshots.count, swept.layers.count]).toEqual([1, 1]);
  });

  it("keeps one that is leased, or all that there is of an image's layer", async () => {
    await using on = await scene("erofs");
    const { layerId, layer } = await on.image("a.example/one:1", "text");
    await on.snapshots.remove(layerId);
    const path = await put(on, layerId);
    const lease = await on.store.leases.create();
    await lease.add(layerId);
    expect((await sweepTwice(on)).layers.count).toBe(0);
    await lease.release();
    await on.store.content.remove(layer.digest);
    expect((await sweepTwice(on)).layers.count).toBe(0);
    await on.store.images.delete("a.example/one:1");
    expect((await sweepTwice(on)).layers.count).toBe(1);
    expect(await exists(path)).toBe(false);
  });

  it("takes those of images whose blobs are here, when their snapshots are not", async () => {
    await using on = await scene("erofs");
    const { layerId } = await on.image("a.example/one:1", "text");
    await on.snapshots.remove(layerId);
    await put(on, layerId);
    expect((await sweepTwice(on)).layers.count).toBe(1);
  });
});
