/**
 * Unpacks again what is damaged of what was unpacked: from a layer's own tar where that is whole, else from its blob, which is fetched
 * when it is not here. Others that pull or mount meanwhile see the old one or the new one.
 */
import { mkdir, rename } from "node:fs/promises";
import { VarveError } from "../../errors/varve-error.ts";
import { FILES } from "../../layer/index-facts.ts";
import type { LayerTarget, UnpackedLayer } from "../../layer/layer-target.ts";
import { wholeFile } from "../../layer/whole-file.ts";
import { digestAlgorithm, type Digest } from "../../oci/digest.ts";
import { LayerStore } from "../../snapshot/erofs/layer-store.ts";
import { removeFolder } from "../../snapshot/folder.ts";
import type { DriverName } from "../../snapshot/types.ts";
import { StoreLayout } from "../../store/layout.ts";
import type { SnapshotEntry } from "../../store/snapshot-record.ts";
import { readMountInfo } from "../../sys/mount-info.ts";
import { withoutSplit } from "../other-form.ts";
import { openSnapshots } from "../snapshotter.ts";
import type { Check } from "./check.ts";
import { digestOfFile } from "./layers.ts";
import { fetchBroken } from "./mend.ts";
import { stateOf } from "./parts.ts";

interface LayerFile {
  readonly path: string;
  readonly size: number;
}

/** A layer that is held as a tar with an index. @throws VarveError what unpacking or fetching say */
export async function rebuildLayer(check: Check, diffId: Digest): Promise<void> {
  const { store, context } = check;
  const { signal } = context;
  const layout = new StoreLayout(store.root);
  const snapshots = await openSnapshots(store, "erofs");
  using _lock = await snapshots.lockLayer(diffId, { signal });
  await using staged = await snapshots.stage(diffId, { signal });
  const { target } = staged;
  if (target === undefined) throw new VarveError("INTERNAL", "layers with an index have a place to be unpacked to");
  await unpack(check, diffId, target);
  await removeFolder(layout.layer(diffId));
  await new LayerStore(layout).take(target.directory, diffId, { sync: true });
}

/** The folder of a snapshot. @throws VarveError when what was in it is lost, and what unpacking or fetching say */
export async function rebuildSnapshot(check: Check, snapshot: SnapshotEntry): Promise<void> {
  const { store, context } = check;
  const { signal } = context;
  const { id, kind, tree, diffId } = snapshot;
  const layout = new StoreLayout(store.root);
  const snapshots = await openSnapshots(store, snapshot.driver as DriverName);
  const { driver } = snapshots;
  const parents = (await store.snapshots.chain(id)).slice(1);
  using _lock = await store.locks.snapshot(tree ?? id, signal);
  if (kind === "view") return driver.create(snapshot, parents);
  if (kind === "committed" && driver.name === "erofs") {
    await mkdir(layout.snapshot(id), { mode: 0o700 });
    return;
  }
  if (kind === "active" || diffId === undefined) {
    throw new VarveError("SNAPSHOT_NOT_FOUND", "what was written to it is lost; varve snapshots rm removes it");
  }
  const folder = layout.snapshot(tree ?? id);
  if (isInUse(folder)) throw new VarveError("STORE_BUSY", "it is mounted; unmount it first");
  await using staged = await snapshots.stage(diffId, { signal });
  const target = (await isGivenUp(check, diffId)) ? staged.target : withoutSplit(staged.target);
  const layer = target && (await unpack(check, diffId, target));
  const record = await store.snapshots.find(driver.name, staged.key);
  const tar = async (): Promise<AsyncIterable<Uint8Array>> =>
    context.threads.open(await blobOf(check, diffId), { algorithm: digestAlgorithm(diffId), signal });
  await driver.bind(record, parents, { tar, signal, sync: true, ...(layer !== undefined && { layer }) });
  await removeFolder(folder);
  await rename(layout.snapshot(record.id), folder);
}

async function unpack(check: Check, diffId: Digest, target: LayerTarget): Promise<UnpackedLayer> {
  const { threads, signal } = check.context;
  const file = wholeFile((await ownTar(check, diffId)) ?? (await blobOf(check, diffId)));
  const unpacked = await threads.unpack(file, target, { algorithm: digestAlgorithm(diffId), signal });
  if (unpacked.diffId === diffId) return unpacked;
  throw new VarveError("DIFFID_MISMATCH", `layer ${diffId} unpacks to ${unpacked.diffId}`);
}

/** Whether the layer's blob is not to stay, so that its tar has to be given by its tree. */
async function isGivenUp({ store, layers }: Check, diffId: Digest): Promise<boolean> {
  const blob = layers.get(diffId)?.blob.digest;
  return blob !== undefined && (await store.layers.get(blob))?.discardedAt !== undefined;
}

/** The tar that lies beside a damaged index, if it is whole. */
async function ownTar({ store, context }: Check, diffId: Digest): Promise<LayerFile | undefined> {
  const path = `${new StoreLayout(store.root).layer(diffId)}/${FILES.tar}`;
  try {
    const { digest, size } = await digestOfFile(path, digestAlgorithm(diffId), context.signal);
    return digest === diffId ? { path, size } : undefined;
  } catch {
    context.signal.throwIfAborted();
    return undefined;
  }
}

async function blobOf(check: Check, diffId: Digest): Promise<LayerFile> {
  const layer = check.layers.get(diffId);
  if (layer === undefined) {
    throw new VarveError("BLOB_UNKNOWN", "no image says where the layer came from; varve gc removes what none needs");
  }
  const { blob, image } = layer;
  if ((await stateOf(check, blob.digest)) !== "whole") {
    await fetchBroken(check, image, { kind: "layer", descriptor: blob, diffId });
    check.states.set(blob.digest, "whole");
  }
  return { path: check.store.content.pathOf(blob.digest), size: blob.size };
}

/** Whether a mount of this namespace shows the folder. */
function isInUse(folder: string): boolean {
  const isBelow = (text: string): boolean => text === folder || text.includes(`${folder}/`);
  return readMountInfo().some(({ root, superOptions }) => isBelow(root) || superOptions.some(isBelow));
}
