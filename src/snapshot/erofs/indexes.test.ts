import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../../test/kit/images/pack-tree.ts";
import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { SnapshotBench } from "../../../test/kit/snapshot/bench.ts";
import { bindTars } from "../../../test/kit/snapshot/bind-tars.ts";
import { directory, file, hardlink, opaque, whiteout } from "../../../test/kit/trees/tree-node.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { StoreLayout } from "../../store/layout.ts";
import { Snapshots } from "../service.ts";
import type { SnapshotRecord } from "../types.ts";
import { ErofsDriver } from "./driver.ts";

const LAYERS = [
  [directory("d", { mode: 0o700 }), file("d/a", "lower")],
  [file("d/b", "upper"), whiteout("gone")],
].map((nodes) => packTree(nodes));
const open = (): Promise<SnapshotBench> => SnapshotBench.open((store) => new ErofsDriver(store));

async function folderOf(bench: SnapshotBench, name: string): Promise<string> {
  const { id } = await bench.store.snapshots.find("erofs", name);
  return new StoreLayout(bench.store.root).snapshot(id);
}

const layerOf = (bench: SnapshotBench, diffId: Digest): string => new StoreLayout(bench.store.root).layer(diffId);

function expectBoth(bench: SnapshotBench, name: string): Promise<void> {
  return bench.see(name, (root) => {
    expect(readdirSync(join(root, "d")).toSorted()).toEqual(["a", "b"]);
    expect(readFileSync(join(root, "d/b"), "utf8")).toBe("upper");
  });
}

describe("an index over several layers", () => {
  it("is made when its snapshot is bound `ready`, and otherwise when it is mounted first", async () => {
    await using bench = await open();
    const [, top] = await bindTars(bench.snapshots, LAYERS, { ready: true });
    const folder = await folderOf(bench, top!);
    expect(readdirSync(folder).toSorted()).toEqual(["index.erofs", "index.json"]);
    await bench.snapshots.remove(top!);
    const again = await bench.snapshots.adopt("again", (await walk(bench))[0], digestOf(LAYERS[1]!));
    expect(again).toBeDefined();
    expect(readdirSync(await folderOf(bench, "again"))).toEqual([]);
    await bench.snapshots.view("view", "again");
    expect(readdirSync(await folderOf(bench, "again")).toSorted()).toEqual(["index.erofs", "index.json"]);
  });

  it("is made also where a power cut has taken the snapshot's folder, which nobody has synced", async () => {
    await using bench = await open();
    const [, top] = await bindTars(bench.snapshots, LAYERS);
    rmSync(await folderOf(bench, top!), { recursive: true });
    const after = new Snapshots({ store: bench.store, driver: new ErofsDriver(bench.store), sync: false });
    await after.view("view", top);
    expect(readdirSync(await folderOf(bench, top!)).toSorted()).toEqual(["index.erofs", "index.json"]);
  });

  it("is the same bytes whoever makes it", async () => {
    await using bench = await open();
    const [, top] = await bindTars(bench.snapshots, LAYERS, { ready: true });
    const folder = await folderOf(bench, top!);
    const before = readFileSync(join(folder, "index.erofs"));
    rmSync(join(folder, "index.json"));
    const other = new Snapshots({ store: bench.store, driver: new ErofsDriver(bench.store), sync: false });
    await other.view("view", top);
    expect(readFileSync(join(folder, "index.erofs")).equals(before)).toBe(true);
  });

  it("of one layer is that layer's own, unless it has marks that hide nothing there", async () => {
    await using bench = await open();
    const [plain] = await bindTars(bench.snapshots, [LAYERS[0]!], { ready: true });
    expect(readdirSync(await folderOf(bench, plain!))).toEqual([]);
    const [mount] = await bench.snapshots.view("view", plain);
    expect(mount?.source).toBe(join(layerOf(bench, digestOf(LAYERS[0]!)), "index.erofs"));
    const [marked] = await bindTars(bench.snapshots, [packTree([directory("d"), opaque("d"), whiteout("x")])], {
      ready: true,
    });
    expect(readdirSync(await folderOf(bench, marked!)).toSorted()).toEqual(["index.erofs", "index.json"]);
  });

  it.each<[string, (folder: string) => void]>([
    ["a byte of it changed", (folder) => spoil(join(folder, "index.erofs"), 1500)],
    ["it is cut short", (folder) => truncateSync(join(folder, "index.erofs"), 600)],
    ["it is gone", (folder) => rmSync(join(folder, "index.erofs"))],
    ["what describes it is gone", (folder) => rmSync(join(folder, "index.json"))],
    ["what describes it is no JSON", (folder) => replace(join(folder, "index.json"), "{")],
    [
      "what describes it is something else",
      (folder) => replace(join(folder, "index.json"), '{"version":1,"size":"x"}'),
    ],
    ["what describes it is of another time", (folder) => replace(join(folder, "index.json"), '{"version":2}')],
    ["what describes it is null", (folder) => replace(join(folder, "index.json"), "null")],
  ])("is made again when %s", async (_what, damage) => {
    await using bench = await open();
    const [, top] = await bindTars(bench.snapshots, LAYERS, { ready: true });
    const folder = await folderOf(bench, top!);
    const before = readFileSync(join(folder, "index.erofs"));
    damage(folder);
    // Another process: this one has the tree in memory.
    const other = new Snapshots({ store: bench.store, driver: new ErofsDriver(bench.store), sync: false });
    await other.view("view", top);
    expect(readFileSync(join(folder, "index.erofs")).equals(before)).toBe(true);
    expect(readdirSync(folder).toSorted()).toEqual(["index.erofs", "index.json"]);
    if (canMount()) await expectBoth(bench, top!);
  });
});

describe("a layer that is kept as its tar", () => {
  it("is one for all that have it, wherever they unpacked it", async () => {
    await using bench = await open();
    await bindTars(bench.snapshots, LAYERS);
    const before = readFileSync(join(layerOf(bench, digestOf(LAYERS[1]!)), "layer.json"));
    const other = packTree([file("other", "")]);
    await bindTars(bench.snapshots, [other, LAYERS[1]!]);
    expect(readFileSync(join(layerOf(bench, digestOf(LAYERS[1]!)), "layer.json")).equals(before)).toBe(true);
    for (const { id } of await rows(bench)) {
      expect(existsSync(join(new StoreLayout(bench.store.root).snapshot(id), "layer"))).toBe(false);
    }
  });

  it("is not held when a file of it is missing or of another size, and is put in its place when it comes again", async () => {
    await using bench = await open();
    const [diffId] = [digestOf(LAYERS[0]!)];
    const [name] = await bindTars(bench.snapshots, [LAYERS[0]!]);
    const { driver } = bench.snapshots;
    for (const path of ["layer.tar", "index.erofs", "layer.json"]) {
      expect(await driver.holds(diffId)).toBe(true);
      rmSync(join(layerOf(bench, diffId), path));
      expect(await driver.holds(diffId)).toBe(false);
      await expect(driver.mounts(await view(bench, name!), await chain(bench, name!))).rejects.toMatchObject({
        code: "INDEX_INVALID",
      });
      await bench.snapshots.remove(name!);
      await bindTars(bench.snapshots, [LAYERS[0]!]);
    }
  });

  it("that is damaged stops what is to be bound on it", async () => {
    await using bench = await open();
    const [base] = await bindTars(bench.snapshots, [LAYERS[0]!]);
    const other = new Snapshots({ store: bench.store, driver: new ErofsDriver(bench.store), sync: false });
    spoil(join(layerOf(bench, digestOf(LAYERS[0]!)), "index.erofs"), 1300);
    await expect(bindTars(other, [LAYERS[1]!], { on: [base!] })).rejects.toMatchObject({ code: "INDEX_INVALID" });
    expect(await walk(bench)).toEqual([base]);
  });

  it("whose hard link leads nowhere fails as it is bound, and is not kept", async () => {
    await using bench = await open();
    const broken = packTree([hardlink("a", "nowhere")]);
    await expect(bindTars(bench.snapshots, [broken])).rejects.toMatchObject({ code: "LAYER_INVALID" });
    await expect(bindTars(bench.snapshots, [LAYERS[0]!, broken])).rejects.toMatchObject({ code: "LAYER_INVALID" });
    expect(await bench.snapshots.driver.holds(digestOf(broken))).toBe(false);
    expect(await walk(bench)).toHaveLength(1);
  });

  it.skipIf(!canMount())("may have no bytes at all", async () => {
    await using bench = await open();
    const [, top] = await bindTars(bench.snapshots, [LAYERS[0]!, Buffer.alloc(0)]);
    await bench.see(top!, (root) => expect(readdirSync(root)).toEqual(["d"]));
  });
});

describe.skipIf(!canMount())("what was written to an active snapshot", () => {
  it("is a layer once it is committed, and nothing else", async () => {
    await using bench = await open();
    const [base] = await bindTars(bench.snapshots, [LAYERS[0]!]);
    await bench.layer("written", base, (root) => writeFileSync(join(root, "d/b"), "upper"));
    const { diffId } = await bench.store.snapshots.find("erofs", "written");
    expect(await bench.snapshots.driver.holds(diffId!)).toBe(true);
    expect(readdirSync(await folderOf(bench, "written"))).toEqual([]);
    await expectBoth(bench, "written");
  });

  it("cannot be mounted when a layer below it is missing, and says so", async () => {
    await using bench = await open();
    const [, top] = await bindTars(bench.snapshots, LAYERS, { ready: true });
    rmSync(join(layerOf(bench, digestOf(LAYERS[0]!)), "layer.tar"));
    await expect(bench.see(top!, () => undefined)).rejects.toMatchObject({
      code: "MOUNT_FAILED",
      hint: expect.stringContaining("varve fsck"),
    });
  });
});

function spoil(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  replace(path, bytes);
}

/** The files may only be read. */
function replace(path: string, bytes: string | Uint8Array): void {
  rmSync(path);
  writeFileSync(path, bytes);
}

/** A view that is not recorded. */
async function view(bench: SnapshotBench, parent: string): Promise<SnapshotRecord> {
  const record = await bench.store.snapshots.find("erofs", parent);
  return { ...record, id: record.id + 1000, key: "view", kind: "view", parent: record.id };
}

async function chain(bench: SnapshotBench, name: string): Promise<SnapshotRecord[]> {
  return bench.store.snapshots.chain((await bench.store.snapshots.find("erofs", name)).id);
}

const rows = (bench: SnapshotBench): Promise<{ id: number; key: string; diffId: Digest | undefined }[]> =>
  Array.fromAsync(bench.store.snapshots.walk());

async function walk(bench: SnapshotBench): Promise<string[]> {
  return (await rows(bench)).map(({ key }) => key);
}
