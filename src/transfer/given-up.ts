/**
 * Blobs that are not here because their layers are held unpacked: never fetched, as the layer was here under another image or was made of
 * pieces, or removed once it was unpacked (`--discard-blobs`). A record says so, and makes the difference to a blob that was lost. Who needs the blob itself
 * fetches it again.
 */
import { createReadStream } from "node:fs";
import { APPLE_LZ4_CHUNKS } from "../codec/tart/names.ts";
import type { LayerCheck } from "../layer/check-layer.ts";
import type { ErrorCode } from "../errors/table.ts";
import { isVarveError, type VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { parseReference, type Reference } from "../oci/reference.ts";
import { tellTransport } from "../recipe/transport-progress.ts";
import type { TransportEvent } from "../registry/blob-source.ts";
import type { LayerRecord } from "../store/layer-records.ts";
import type { Lease } from "../store/leases.ts";
import type { Store } from "../store/store.ts";
import { reachable } from "../store/unreferenced.ts";
import { BlobHomes } from "./blob-homes.ts";
import type { GivenChunks } from "./disks/give-chunk.ts";
import type { TransferContext } from "./context.ts";
import type { LayerOutcome } from "./fetch-layer.ts";
import { heldTar } from "./held-tar.ts";
import { presentResult, type LayerTask } from "./present-layer.ts";
import { readBlobFrom } from "./transports/registry.ts";

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

/**
 * Leaves a blob where it is, because its layer is held unpacked.
 * @param layer what is known of it. Default: what is recorded of the same layer in another compression
 */
export async function giveUpBlob(context: TransferContext, task: LayerTask, layer?: LayerCheck): Promise<LayerOutcome> {
  const { diffId } = task;
  if (diffId !== undefined) {
    const [same] = layer === undefined ? await context.store.layers.findByDiffId(diffId) : [];
    const { uncompressedSize: size = 0, entries = 0 } = same ?? {};
    await recordGivenUp(context.store, task.blob, layer ?? { diffId, size, entries });
  }
  return { result: presentResult(context, task), resumedBytes: 0 };
}

/** Records that a layer's blob is not here, and need not be: the layer is unpacked, or will be before its image is recorded. */
export async function recordGivenUp(store: Store, blob: Descriptor, layer: LayerCheck): Promise<void> {
  await recordAllGivenUp(store, [{ blob, layer }]);
}

/** The same of many, in one transaction. */
export async function recordAllGivenUp(
  { layers }: Store,
  givenUp: readonly { readonly blob: Descriptor; readonly layer: LayerCheck }[],
): Promise<void> {
  const records: LayerRecord[] = [];
  for (const { blob, layer } of givenUp) {
    const { digest, mediaType, size } = blob;
    const { diffId, entries, size: uncompressedSize } = layer;
    const known = await layers.get(digest);
    if (known?.diffId === diffId && known.discardedAt !== undefined) continue;
    // What an image says of a blob is not to take the place of what was found in it.
    if (known !== undefined && known.diffId !== diffId && isVerified(known)) continue;
    // Of a blob that was never here only the image says what is in it.
    const verifiedAt = known?.diffId === diffId ? known.verifiedAt : new Date(0);
    records.push({ digest, diffId, mediaType, size, uncompressedSize, entries, verifiedAt, discardedAt: new Date() });
  }
  await layers.put(...records);
}

/** Records of a blob that is not kept what was found in it, all of it read. */
export async function recordFound(store: Store, blob: Descriptor, found: Omit<LayerCheck, "entries">): Promise<void> {
  const { digest, mediaType, size } = blob;
  const known = await store.layers.get(digest);
  if (known !== undefined && isVerified(known)) return;
  const { diffId, size: uncompressedSize } = found;
  const now = new Date();
  const facts = { digest, diffId, mediaType, size, uncompressedSize, entries: 0 };
  await store.layers.put({ ...facts, verifiedAt: now, discardedAt: now });
}

/** Whether it says what was found in the blob, and not only what an image says of it. */
export function isVerified({ verifiedAt }: LayerRecord): boolean {
  return verifiedAt.getTime() > 0;
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

export interface ReadGivenUpOptions {
  /** First byte. Default 0. */
  readonly start?: number;
  readonly signal?: AbortSignal | undefined;
  /** What makes chunks of disks again. Default: they come from registries. */
  readonly chunks?: () => Promise<GivenChunks>;
  /** Told of what the registry is asked and what it sends. Default: only what there is to tell users is told. */
  readonly onEvent?: ((event: TransportEvent) => void) | undefined;
}

/**
 * The bytes of a blob that was given up: the layer's tar where the blob is nothing else, in whatever form it is held; a chunk of a disk that is held, encoded again, where that
 * gives the blob; else from the repository that the image's name says, or, where that lacks it because the image only got this name here, from
 * another one that the store knows to have it.
 *
 * @throws VarveError as the registry of the image's name says
 */
export async function* readGivenUp(
  context: TransferContext,
  image: string,
  blob: Descriptor,
  options: ReadGivenUpOptions = {},
): AsyncGenerator<Uint8Array> {
  const { openRegistry = () => Promise.resolve(context.registry), onProgress } = context;
  const { start = 0, signal = context.signal, onEvent = tellTransport(onProgress) } = options;
  const tar = await heldTar(context.store, blob.digest);
  if (tar?.size === blob.size) {
    yield* createReadStream(tar.path, { start, highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>;
    return;
  }
  // One that nobody ever had but as a layer's tar: what is made by a delta is named so where its blob is not known.
  if ((await context.store.layers.get(blob.digest))?.diffId === blob.digest) {
    const { openKeptTar } = await import("./layer-tars/read-kept-tar.ts");
    await using kept = await openKeptTar({ ...context, signal }, blob);
    if (kept !== undefined) return yield* kept.read(start);
  }
  // In this order: of other layers nothing has to be loaded.
  await using made = APPLE_LZ4_CHUNKS.has(blob.mediaType)
    ? await (await options.chunks?.())?.make(blob, signal)
    : undefined;
  if (made !== undefined) return yield* made.read(start);
  const client = await openRegistry();
  const own = parseReference(image, { defaultTag: false });
  const read = (home: Reference): AsyncGenerator<Uint8Array> =>
    readBlobFrom(client.blobs(home), blob, start, { signal, onEvent });
  const refusal = yield* readUnlessMissing(read(own));
  if (refusal === undefined) return;
  for (const home of await new BlobHomes(context.store).of(blob.digest)) {
    if (home.host === own.host && home.name === own.name) continue;
    if ((yield* readUnlessMissing(read(home))) === undefined) return;
  }
  throw refusal;
}

/** Passes on what comes. @returns why nothing did, when the place does not have it or does not say */
async function* readUnlessMissing(
  bytes: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array, VarveError | undefined> {
  let isBegun = false;
  try {
    for await (const chunk of bytes) {
      isBegun = true;
      yield chunk;
    }
    return undefined;
  } catch (error) {
    if (isBegun || !isVarveError(error) || !MISSING.has(error.code)) throw error;
    return error;
  }
}

const MISSING: ReadonlySet<ErrorCode> = new Set(["BLOB_UNKNOWN", "UNAUTHORIZED", "DENIED"]);
