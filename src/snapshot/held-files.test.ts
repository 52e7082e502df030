/** What is held unpacked is found again, whichever driver holds it; and what is found stays as long as it is needed. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { createRng } from "../../test/kit/images/rng.ts";
import { canMount } from "../../test/kit/mounts/can-mount.ts";
import { SnapshotBench, type MakeDriver } from "../../test/kit/snapshot/bench.ts";
import { bindTars } from "../../test/kit/snapshot/bind-tars.ts";
import { pieceTable, readPlace } from "../../test/kit/sources/held-folders.ts";
import { expectedTree } from "../../test/kit/trees/expected-tree.ts";
import { randomLayers } from "../../test/kit/trees/random-layers.ts";
import { directory, file, hardlink, whiteout, type TreeNode } from "../../test/kit/trees/tree-node.ts";
import type { PieceTable } from "../codec/piece-table.ts";
import { digestOf, parseDigest } from "../oci/digest.ts";
import { StoreLayout } from "../store/layout.ts";
import { HeldSources } from "../store/local-sources/local-sources.ts";
import type { Store } from "../store/store.ts";
import { CopyDriver } from "./copy/driver.ts";
import { ErofsDriver } from "./erofs/driver.ts";
import { exists } from "./folder.ts";
import { heldFiles } from "./held-files.ts";
import { OverlayDriver } from "./overlay/driver.ts";
import { sweepSnapshots } from "./sweep.ts";

const DRIVERS: readonly (readonly [string, MakeDriver, boolean])[] = [
  ["erofs", (store) => new ErofsDriver(store), true],
  ["overlay", (store) => OverlayDriver.open(store), canMount()],
  ["copy", (store) => new CopyDriver(store), true],
];

/** The files of the tree that layers add up to, whose names stand in a table of contents as text. */
function filesOf(layers: readonly (readonly TreeNode[])[]): PieceTable {
  const files = expectedTree(layers).filter(
    ({ type, size, path }) => type === "file" && size > 0 && path.isWellFormed(),
  );
  return {
    length: files.length,
    size: (piece) => files[piece]!.size,
    digest: (piece) => parseDigest(`sha256:${files[piece]!.sha256}`),
    name: (piece) => files[piece]!.path,
  };
}

function sourcesOf(store: Store): HeldSources {
  return new HeldSources({ store, listHeld: () => heldFiles(store) });
}

describe.each(DRIVERS)("what the %s driver holds", (name, makeDriver, isUsable) => {
  it.skipIf(!isUsable)("is found, whatever made it, hard links and whiteouts among it", async () => {
    for (const seed of [1, 2, 3]) {
      await using bench = await SnapshotBench.open(makeDriver);
      const layers = randomLayers(createRng(seed), { size: 40, layers: 3, maxFileSize: 3000 });
      const tars = layers.map((nodes) => packTree(nodes));
      await bindTars(bench.snapshots, tars);
      await using sources = sourcesOf(bench.store);
      const wanted = filesOf(layers);
      await using places = await sources.locate(wanted);
      expect(places.found.pieces).toBe(wanted.length);
      for (let piece = 0; piece < wanted.length; piece++) {
        const bytes = readPlace(places.get(piece)!, wanted.size(piece));
        expect(digestOf(bytes)).toBe(wanted.digest(piece));
      }
    }
  });

  it.skipIf(!isUsable)("stays while it is named, and goes with its index then", async () => {
    await using bench = await SnapshotBench.open(makeDriver);
    const tar = packTree([directory("d"), file("d/f", "content"), hardlink("d/g", "d/f"), whiteout("d/h")]);
    await bindTars(bench.snapshots, [tar]);
    await using sources = sourcesOf(bench.store);
    const wanted = pieceTable([{ name: "d/g", bytes: Buffer.from("content") }]);
    const places = await sources.locate(wanted);
    const { path } = places.get(0)!;
    const sweep = (): Promise<unknown> => sweepSnapshots({ store: bench.store, drivers: [bench.snapshots.driver] });
    await sweep();
    expect(await exists(path)).toBe(true);
    await places[Symbol.asyncDispose]();
    await sweep();
    expect(await exists(path)).toBe(false);
    const layout = new StoreLayout(bench.store.root);
    const folders = [layout.layer(digestOf(tar)), layout.snapshot(1)];
    expect(await Promise.all(folders.map((folder) => exists(folder)))).toEqual([false, false]);
    await using after = await sources.locate(wanted);
    expect(after.get(0)).toBeUndefined();
  });

  it.skipIf(!isUsable)("is not what users are writing", async () => {
    await using bench = await SnapshotBench.open(makeDriver);
    const [base] = await bindTars(bench.snapshots, [packTree([file("f", "content")])]);
    await bench.snapshots.prepare("active", base);
    await bench.snapshots.view("view", base);
    await bench.snapshots.stage(digestOf("another"));
    expect(await heldFiles(bench.store)).toHaveLength(1);
  });

  it.skipIf(!isUsable)("is known at once where a table of contents came with it", async () => {
    await using bench = await SnapshotBench.open(makeDriver);
    const tar = packTree([file("f", "content")]);
    await bindTars(bench.snapshots, [tar]);
    await using sources = sourcesOf(bench.store);
    const table = pieceTable([{ name: "f", bytes: Buffer.from("content") }]);
    await sources.record(digestOf(tar), table);
    await using places = await sources.locate(table, { hashBytes: 0 });
    expect(places.found.pieces).toBe(1);
    expect(name).toBe(bench.snapshots.driver.name);
  });
});

describe("trees of whole images", () => {
  it("are looked at once for all of a chain, unless more is known of one", async () => {
    await using bench = await SnapshotBench.open((store) => new CopyDriver(store));
    const tars = [packTree([file("a", "one")]), packTree([file("b", "other")]), packTree([whiteout("a")])];
    await bindTars(bench.snapshots, tars);
    expect((await heldFiles(bench.store)).map(({ isCovered }) => isCovered)).toEqual([false, true, true]);
    await using sources = sourcesOf(bench.store);
    const wanted = pieceTable([{ name: "a", bytes: Buffer.from("one") }]);
    const look = async (): Promise<number> => {
      await using places = await sources.locate(wanted);
      return places.found.pieces;
    };
    expect(await look()).toBe(0);
    await sources.record(digestOf(tars[0]!), wanted);
    expect(await look()).toBe(1);
  });
});

describe("a layer whose index is damaged or gone", () => {
  it("is passed over", async () => {
    await using bench = await SnapshotBench.open((store) => new ErofsDriver(store));
    const tar = packTree([file("f", "content")]);
    await bindTars(bench.snapshots, [tar]);
    const folder = new StoreLayout(bench.store.root).layer(digestOf(tar));
    rmSync(join(folder, "index.erofs"));
    await using sources = sourcesOf(bench.store);
    await using places = await sources.locate(pieceTable([{ name: "f", bytes: Buffer.from("content") }]));
    expect(places.found.pieces).toBe(0);
  });
});
