/**
 * Checks what is unpacked: layers against their DiffIDs, trees against the blobs that they were made of, rows against folders. When
 * mending, a layer is unpacked again from its blob, which is fetched when it is not here (rebuild.ts).
 */
import { rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { checkTree } from "../../layer/check-tree.ts";
import { digestAlgorithm, type Digest } from "../../oci/digest.ts";
import { indexPath, readIndex } from "../../snapshot/erofs/merged-index.ts";
import { folderIds, goneFolders } from "../../snapshot/folder.ts";
import { marksKind } from "../../snapshot/overlay/marks-kind.ts";
import { isStaged } from "../../snapshot/staged.ts";
import { StoreLayout } from "../../store/layout.ts";
import type { SnapshotEntry } from "../../store/snapshot-record.ts";
import { inParallel } from "../in-parallel.ts";
import { heldLayers } from "../unpacked.ts";
import type { Check } from "./check.ts";
import { layerFault } from "./layers.ts";
import { stateOf } from "./parts.ts";
import { rebuildLayer, rebuildSnapshot } from "./rebuild.ts";

/** Differences that are told of one tree. */
const SHOWN = 3;

/** @param chains only these committed snapshots. Default: all, and what is left over */
export async function checkSnapshots(check: Check, chains?: ReadonlySet<string>): Promise<void> {
  const all = await Array.fromAsync(check.store.snapshots.walk());
  const snapshots = all.filter(({ key, kind }) =>
    chains === undefined ? true : kind === "committed" && chains.has(key),
  );
  const diffIds = new Set<Digest>();
  for (const { driver, diffId, kind } of snapshots) {
    if (driver === "erofs" && kind === "committed" && diffId !== undefined) diffIds.add(diffId);
  }
  if (chains === undefined) for (const diffId of heldLayers(new StoreLayout(check.store.root))) diffIds.add(diffId);
  await inParallel([...diffIds], check.concurrency, (diffId) => checkHeldLayer(check, diffId));
  // Parents first, for a tree is held to those below it.
  for (const snapshot of snapshots) {
    check.context.signal.throwIfAborted();
    check.counts.snapshots++;
    await checkSnapshot(check, snapshot);
  }
  if (chains === undefined) await findLeft(check, all);
}

async function checkHeldLayer(check: Check, diffId: Digest): Promise<void> {
  // Asked twice, for a layer may be removed or made anew while it is read; and one that is gone and that no snapshot needs is no fault.
  if ((await layerFault(check, diffId)) === undefined || (await isRemoved(check, diffId))) return;
  const fault = await layerFault(check, diffId);
  if (fault === undefined || (await isRemoved(check, diffId))) return;
  const image = check.layers.get(diffId)?.image;
  const key = check.findings.add("layer-damaged", `unpacked layer ${diffId}: ${fault}`, {
    digest: diffId,
    ...(image !== undefined && { image }),
  });
  await mend(check, key, () => rebuildLayer(check, diffId));
}

async function isRemoved({ store }: Check, diffId: Digest): Promise<boolean> {
  if (existsSync(new StoreLayout(store.root).layer(diffId))) return false;
  return (await store.snapshots.idsOfLayer("erofs", diffId)).length === 0;
}

/** Whether a snapshot was not removed since it was listed: its row goes before its folder does. */
async function isStillThere({ store }: Check, { id, key, kind }: SnapshotEntry): Promise<boolean> {
  const now = await store.snapshots.getById(id);
  return now?.key === key && now.kind === kind;
}

async function checkSnapshot(check: Check, snapshot: SnapshotEntry): Promise<void> {
  const { store, findings } = check;
  const { id, key: name, driver, kind, tree } = snapshot;
  const path = new StoreLayout(store.root).snapshot(tree ?? id);
  if (!existsSync(path) && (kind === "committed" || !isStaged(snapshot))) {
    if (!(await isStillThere(check, snapshot))) return;
    const key = findings.add("snapshot-missing", `${kind} snapshot ${name} (${driver}) has no folder`, { path });
    return mend(check, key, () => rebuildSnapshot(check, snapshot));
  }
  if (kind !== "committed") return;
  if (driver === "erofs") return checkIndex(check, snapshot, path);
  // Its owner was checked, or is gone; then the first that shares it stands for it.
  if (driver !== "overlay" || (tree !== undefined && (await store.snapshots.getById(tree)) !== undefined)) return;
  const fault = await treeFault(check, snapshot, join(path, "fs"));
  if (fault === undefined || !(await isStillThere(check, snapshot))) return;
  const key = findings.add("snapshot-damaged", `snapshot ${name}: ${fault}`, { path });
  await mend(check, key, () => rebuildSnapshot(check, snapshot));
}

/** The index of a chain is made anew when it is missing. */
async function checkIndex(check: Check, snapshot: SnapshotEntry, folder: string): Promise<void> {
  const path = indexPath(folder);
  if (!existsSync(path) || (await readIndex(folder)) !== undefined) return;
  if (!(await isStillThere(check, snapshot))) return;
  const key = check.findings.add("index-damaged", "the index of a chain of layers is damaged", { path });
  await mend(check, key, () => rm(path));
}

/** Undefined also where it cannot be told: the blob is not here, or the tree is not the layer's alone. */
async function treeFault(check: Check, snapshot: SnapshotEntry, directory: string): Promise<string | undefined> {
  const { store, context } = check;
  const { diffId } = snapshot;
  const blob = diffId && check.layers.get(diffId)?.blob;
  if (diffId === undefined || blob === undefined || (await stateOf(check, blob.digest)) !== "whole") return undefined;
  const layout = new StoreLayout(store.root);
  const below = (await store.snapshots.chain(snapshot.id)).slice(1);
  const { signal } = context;
  const algorithm = digestAlgorithm(diffId);
  const tar = context.threads.open({ path: store.content.pathOf(blob.digest), size: blob.size }, { algorithm, signal });
  const { userXattr } = await marksKind(layout.snapshots);
  const parents = below.map(({ id, tree }) => join(layout.snapshot(tree ?? id), "fs"));
  const found = await checkTree(tar, directory, { parents, userXattr, algorithm, signal });
  const differences = [
    ...found.missing.map((name) => `${name} is missing`),
    ...found.changed,
    ...found.extra.map((name) => `${name} is too much`),
  ];
  if (differences.length === 0) return undefined;
  const rest = differences.length + found.more - SHOWN;
  const more = rest > 0 ? ` and ${rest} more` : "";
  return `its tree is not what the layer made: ${differences.slice(0, SHOWN).join("; ")}${more}`;
}

/** What processes left that died, and what no image needs. */
async function findLeft({ store, findings }: Check, snapshots: readonly SnapshotEntry[]): Promise<void> {
  const layout = new StoreLayout(store.root);
  for (const snapshot of snapshots) {
    if (!isStaged(snapshot) || store.locks.isStageHeld(snapshot.id)) continue;
    findings.add(
      "snapshot-stale",
      `${snapshot.key} was being unpacked by a process that is gone; varve gc removes it`,
      {
        path: layout.snapshot(snapshot.id),
      },
    );
  }
  const unnamed = [...(await goneFolders(layout.snapshots))];
  for (const id of await folderIds(layout.snapshots)) {
    if (!store.locks.isSnapshotHeld(id) && !(await store.snapshots.needsFolder(id))) unnamed.push(layout.snapshot(id));
  }
  for (const path of unnamed)
    findings.add("snapshot-stale", "no snapshot has this folder; varve gc removes it", { path });
}

async function mend({ repair, findings, context }: Check, key: string, work: () => Promise<void>): Promise<void> {
  if (!repair) return;
  try {
    await work();
    findings.repaired(key);
  } catch (error) {
    context.signal.throwIfAborted();
    findings.failed(key, toVarveError(error).message);
  }
}
