/**
 * Whether what is said to be committed is whole, looked at from outside: the files that are kept of each layer, and what is to be seen
 * when a snapshot is mounted, against what was pushed.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { digestHex, isDigest, type Digest } from "../../../src/oci/digest.ts";
import { openDriver } from "../../../src/snapshot/drivers.ts";
import type { DriverName } from "../../../src/snapshot/types.ts";
import { withMounted } from "../../../src/snapshot/with-mounted.ts";
import { StoreLayout } from "../../../src/store/layout.ts";
import type { SnapshotEntry } from "../../../src/store/snapshot-records.ts";
import type { Store } from "../../../src/store/store.ts";
import { mountsBelow } from "../../kit/mounts/mount-dir.ts";
import { diffTrees } from "../../kit/trees/diff-trees.ts";
import { readTree, type TreeEntry } from "../../kit/trees/read-tree.ts";

/** By the name of the snapshot, for those that can be known. */
export type ExpectedTrees = ReadonlyMap<string, readonly TreeEntry[]>;

/** @param trees what is compared entry by entry; default: only what is kept is looked at. Of a chain only its end is mounted */
export async function snapshotFaults(store: Store, trees: ExpectedTrees = new Map()): Promise<string[]> {
  const faults: string[] = [];
  const all = await Array.fromAsync(store.snapshots.walk());
  const byId = new Map(all.map((entry) => [entry.id, entry]));
  const parents = new Set(all.map(({ parent }) => parent));
  for (const entry of all.filter(({ kind }) => kind === "committed")) {
    const faulty = (what: string): void => void faults.push(`${entry.driver} snapshot ${entry.key} ${what}`);
    const parent = entry.parent === undefined ? undefined : byId.get(entry.parent);
    if (entry.parent !== undefined && parent?.kind !== "committed") faulty("stands on none that is committed");
    if (parent !== undefined && parent.driver !== entry.driver) faulty("stands on another driver's");
    for (const what of keptFaults(new StoreLayout(store.root), entry)) faulty(what);
    const expected = trees.get(entry.key);
    if (expected === undefined || parents.has(entry.id)) continue;
    const actual = await treeOf(store, entry);
    // What users write is written now.
    const ignore = isDigest(entry.key) ? [] : (["mtime"] as const);
    const differs = diffTrees(actual, expected, { root: false, directoryTimes: false, ignore });
    if (differs.length > 0) faulty(`shows another tree: ${differs.slice(0, 5).join("; ")}`);
  }
  for (const path of mountsBelow(store.root)) faults.push(`${path} is still mounted`);
  return faults;
}

/** Names of the committed snapshots of a driver, or of all. */
export async function committedNames(store: Store, driver?: string): Promise<string[]> {
  const all = await Array.fromAsync(store.snapshots.walk([{ kind: "committed" }], driver));
  return all.map(({ key }) => key).toSorted();
}

/** Mounted nowhere, so that nothing is left of it. */
export async function treeOf(store: Store, entry: SnapshotEntry): Promise<TreeEntry[]> {
  const driver = await openDriver(entry.driver as DriverName, store);
  const mounts = await driver.mounts(
    { ...entry, kind: "view", tree: undefined },
    await store.snapshots.chain(entry.id),
  );
  return withMounted(mounts, readTree);
}

function* keptFaults(layout: StoreLayout, { id, tree, driver, diffId }: SnapshotEntry): Generator<string> {
  if (driver !== "erofs") {
    if (!existsSync(join(layout.snapshot(tree ?? id), "fs"))) yield "has no tree";
    return;
  }
  if (diffId === undefined) return yield "has no DiffID";
  const folder = layout.layer(diffId);
  const hashOf = (name: string): string | undefined => {
    const path = join(folder, name);
    return existsSync(path) ? createHash("sha256").update(readFileSync(path)).digest("hex") : undefined;
  };
  if (hashOf("layer.tar") !== digestHex(diffId)) yield `has no whole tar of ${diffId}`;
  const path = join(folder, "layer.json");
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const { index } = (text === "" ? {} : JSON.parse(text)) as { index?: { digest: Digest } };
  if (index === undefined) yield "has no facts of its layer";
  else if (hashOf("index.erofs") !== digestHex(index.digest)) yield "has no whole index of its layer";
}

/** Layers that are held apart from snapshots. */
export function heldLayers(root: string): Digest[] {
  const { layers } = new StoreLayout(root);
  const found: Digest[] = [];
  for (const algorithm of namesIn(layers)) {
    for (const name of namesIn(join(layers, algorithm))) {
      const digest = `${algorithm}:${name}`;
      if (isDigest(digest)) found.push(digest);
    }
  }
  return found.toSorted();
}

/** Of a store's own there: how it marks overlays, and trials of drivers, which go with time. */
const STAYS = /^(overlay\.json|\.probe-.*)$/;

/** What lies below `snapshots/` and `layers/` and belongs to a snapshot. */
export function snapshotLeftovers(root: string): string[] {
  const layout = new StoreLayout(root);
  const directories = [layout.snapshots, ...namesIn(layout.layers).map((name) => join(layout.layers, name))];
  return directories.flatMap((directory) =>
    namesIn(directory)
      .filter((name) => !STAYS.test(name))
      .map((name) => join(directory, name)),
  );
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
