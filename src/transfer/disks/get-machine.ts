/**
 * Gets what the store lacks of a virtual machine's image: first the blobs that are kept, then the disks. As for other images, all that is needed is
 * leased before it is looked for, what a pull that fails has got stays leased as unfinished, and the image is recorded last.
 */
import type { Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import type { TransferContext } from "../context.ts";
import { getLayers } from "../get-layers.ts";
import { recordAllGivenUp } from "../given-up.ts";
import { rememberRates } from "../known-rates.ts";
import type { LayerTask } from "../present-layer.ts";
import type { PullDone } from "../pull-result.ts";
import { recordImage } from "../record-image.ts";
import type { ResolvedImage } from "../resolve-image.ts";
import { ensureRoom, explainNoRoom } from "../space.ts";
import { roomForMachine } from "./disk-room.ts";
import { DiskRows } from "./disk-rows.ts";
import { getDisks } from "./get-disks.ts";
import { diskResults, distinctDisks, heldDisks, keptBlobs, type MachineDisk } from "./machine-parts.ts";
import { getUnnamed, isNamed } from "./get-unnamed.ts";
import type { PullDisksOptions } from "./pull-disks.ts";

export async function getMachine(
  context: TransferContext,
  image: ResolvedImage,
  disks: readonly MachineDisk[],
  { wait, concurrency, tally }: PullDisksOptions,
): Promise<PullDone> {
  const { store, signal, onProgress } = context;
  const { reference, manifest, name } = image;
  const distinct = distinctDisks(disks);
  const kept = keptBlobs(manifest, disks);
  await ensureRoom(store, await roomForMachine(store, image, distinct));
  await using lease = await store.leases.create();
  await lease.add(
    ...[...image.documents, manifest.config, ...manifest.layers].map(({ digest }) => digest),
    ...distinct.map(({ key }) => key),
  );
  try {
    const held = await heldDisks(store, distinct, { leased: true });
    for (const { key, disk } of distinct) {
      const total = disk.kind === "chunks" ? disk.size : (held.get(key)?.size ?? 0);
      onProgress({ type: "disk-queued", digest: key, name: disk.name, total });
      if (held.has(key)) onProgress({ type: "layer-present", digest: key, total });
    }
    const missing = distinct.filter(({ key }) => !held.has(key));
    const rows = new DiskRows(reference, disks);
    const tasks = kept.map((blob): LayerTask => ({ reference, blob, diffId: undefined }));
    const given = { check: false, wait, concurrency, tally, lease };
    const { layers: keptRows, resumedBytes } = await getLayers(context, image, tasks, given);
    let resumed = resumedBytes;
    const getting = { image: { reference, digest: manifest.digest }, wait, concurrency, tally, lease, rows, signal };
    resumed += await getDisks(context, missing.filter(isNamed), getting);
    for (const disk of missing) if (!isNamed(disk)) resumed += await getUnnamed(context, image, disk, getting);
    await giveUpBlobs(store, distinct);
    const changed = await recordImage(context, image);
    await store.leases.finish(name);
    await rememberRates(context, reference);
    const layers = rows.inOrder(manifest, keptRows);
    const isNew = layers.some(({ how }) => how !== "present");
    return {
      status: isNew || changed ? "pulled" : "up-to-date",
      layers,
      disks: diskResults(disks, await heldDisks(store, distinct), (disk) => rows.costOf(disk)),
      resumedBytes: resumed,
    };
  } catch (error) {
    await lease.leave(name).catch(() => {});
    const wanted = await roomForMachine(store, image, distinct).catch(() => undefined);
    throw wanted === undefined ? error : await explainNoRoom(store, wanted, error);
  }
}

/**
 * The disks have what the blobs hold, so nobody is to miss these. Nobody here has seen most of them: what is known of one, because another image has it
 * too, stays as it is.
 */
async function giveUpBlobs(store: Store, disks: readonly MachineDisk[]): Promise<void> {
  const seen = new Set<Digest>();
  const givenUp: Parameters<typeof recordAllGivenUp>[1][number][] = [];
  for (const { key, disk } of disks) {
    const chunks =
      disk.kind === "stream" ? disk.blobs.map((blob) => ({ blob, digest: key, size: blob.size })) : disk.chunks;
    for (const { blob, digest = key, size } of chunks) {
      if (seen.has(blob.digest) || (await store.content.stat(blob.digest)) !== undefined) continue;
      seen.add(blob.digest);
      const known = await store.layers.get(blob.digest);
      if (known !== undefined && known.diffId !== digest) continue;
      givenUp.push({ blob, layer: { diffId: digest, size, entries: 0 } });
    }
  }
  await recordAllGivenUp(store, givenUp);
}
