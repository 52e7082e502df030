/**
 * Blobs that are not here because their layers are held unpacked: never fetched, as the layer was here under another image, or removed
 * once it was unpacked (`--discard-blobs`). A record says so, and makes the difference to a blob that was lost. Who needs the blob itself
 * fetches it again.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { FILES } from "../layer/index-facts.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { parseReference } from "../oci/reference.ts";
import { tellTransport } from "../recipe/transport-progress.ts";
import { StoreLayout } from "../store/layout.ts";
import type { LayerRecord } from "../store/layer-records.ts";
import type { Lease } from "../store/leases.ts";
import type { Store } from "../store/store.ts";
import { reachable } from "../store/unreferenced.ts";
import type { TransferContext } from "./context.ts";
import type { LayerOutcome } from "./fetch-layer.ts";
import { presentResult, type LayerTask } from "./present-layer.ts";

/**
 * Whether the blob of a layer that need not be unpacked is to be got all the same: it is here, or nothing says that it may be missing, so
 * that the store remains a layout that other tools can read.
 * @param discards whether the pull is one that keeps no blobs
 */
export async function isWanted({ store }: TransferContext, task: LayerTask, discards: boolean): Promise<boolean> {
  const { content, layers } = store;
  const { digest } = task.blob;
  if ((await content.stat(digest)) !== undefined) return true;
  if (discards || task.diffId === undefined) return !discards;
  const known = await layers.get(digest);
  if (known !== undefined) return known.discardedAt === undefined;
  // The same layer in another compression will do.
  for (const other of await layers.findByDiffId(task.diffId)) {
    if (other.discardedAt !== undefined || (await content.stat(other.digest)) !== undefined) return false;
  }
  return true;
}

/** Leaves a blob where it is, because its layer is held unpacked. */
export async function giveUpBlob(context: TransferContext, task: LayerTask): Promise<LayerOutcome> {
  const { layers } = context.store;
  const { digest, mediaType, size } = task.blob;
  const { diffId } = task;
  if (diffId !== undefined && (await layers.get(digest))?.diffId !== diffId) {
    const [same] = await layers.findByDiffId(diffId);
    const { uncompressedSize = 0, entries = 0 } = same ?? {};
    // Never verified: the image says what is in it.
    const times = { verifiedAt: new Date(0), discardedAt: new Date() };
    await layers.put({ digest, diffId, mediaType, size, uncompressedSize, entries, ...times });
  }
  return { result: presentResult(context, task), resumedBytes: 0 };
}

/** A blob is here again, so nothing is given up. */
export async function takeBlobBack({ layers }: Store, digest: Digest): Promise<void> {
  const { discardedAt, ...known } = (await layers.get(digest)) ?? {};
  if (discardedAt !== undefined) await layers.put(known as LayerRecord);
}

/** The blobs that other images than this one need. */
export async function neededByOthers({ images, content }: Store, manifest: Digest): Promise<ReadonlySet<Digest>> {
  const others = (await images.list()).filter((image) => image.manifest.digest !== manifest);
  return new Set(
    (
      await reachable(
        content,
        others.map(({ manifest }) => manifest),
      )
    ).keys(),
  );
}

/**
 * Removes the blob of a layer whose snapshot is durable. One that somebody else is at work on, or has leased, stays.
 * @returns whether it is gone
 */
export async function discardBlob(
  { store }: TransferContext,
  { digest }: { digest: Digest },
  lease: Lease,
): Promise<boolean> {
  const known = await store.layers.get(digest);
  if (known === undefined) return false;
  // First the record: a blob that is here in spite of it harms nobody.
  await store.layers.put({ ...known, discardedAt: new Date() });
  await lease.drop(digest);
  return store.content.remove(digest);
}

/** The tar of a layer that is held as one; undefined when it is not. Whoever reads it checks its digest. */
export async function heldTar(store: Store, diffId: Digest): Promise<{ path: string; size: number } | undefined> {
  const path = join(new StoreLayout(store.root).layer(diffId), FILES.tar);
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true ? { path, size: found.size } : undefined;
}

/**
 * The bytes of a blob that was given up: the layer's tar where the blob is nothing else, else from the registry that the image's name says.
 * @throws VarveError as the registry says
 */
export async function* readGivenUp(
  context: TransferContext,
  image: string,
  blob: Descriptor,
  signal: AbortSignal = context.signal,
): AsyncGenerator<Uint8Array> {
  const tar = await heldTar(context.store, blob.digest);
  if (tar?.size === blob.size) {
    yield* createReadStream(tar.path, { highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>;
    return;
  }
  const { openRegistry = () => Promise.resolve(context.registry), onProgress } = context;
  const client = await openRegistry();
  const reference = parseReference(image, { defaultTag: false });
  yield* client.blobs(reference).readBlob(blob, { signal, onEvent: tellTransport(onProgress) });
}
