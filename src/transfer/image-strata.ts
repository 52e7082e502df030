/** The use case "strata of an image": its layers, what each takes as a blob and as a tar, and which other images have it too. */
import type { Digest } from "../oci/digest.ts";
import type { ImageRecord } from "../store/images.ts";
import type { Store } from "../store/store.ts";
import type { TransferContext } from "./context.ts";
import { isIndexList } from "./disks/index/index-lists.ts";
import { findImage } from "./find-image.ts";
import { heldTar } from "./held-tar.ts";
import { openManifest, readImageConfig } from "./open-image.ts";
import { openSource } from "./open-place.ts";
import { StoreSource } from "./transports/store.ts";

export interface Stratum {
  /** Of the blob. */
  readonly digest: Digest;
  /** Null of artifacts, whose layers have none. */
  readonly diffId: Digest | null;
  readonly mediaType: string;
  readonly size: number;
  /** Of the tar; null where it was never measured. */
  readonly uncompressedSize: number | null;
  /** Names of other images that have it, however compressed, in order; at most {@link MOST_SHARERS}. */
  readonly sharedWith: readonly string[];
  /** How many other images have it. Two names of one image count twice. */
  readonly shares: number;
}

export interface Strata {
  /** In full. */
  readonly name: string;
  /** Bottom to top. */
  readonly layers: readonly Stratum[];
}

/** A base may be under thousands of images. */
export const MOST_SHARERS = 100;

/** @throws VarveError `IMAGE_NOT_FOUND`, `REFERENCE_INVALID` */
export async function imageStrata(context: TransferContext, image: string): Promise<Strata> {
  const { store, signal } = context;
  await using source = await openSource(context, image);
  const record = await findImage(store, image);
  const { manifest } = await openManifest(source, image, undefined);
  // Machines and artifacts have no DiffIDs, and layers all the same.
  const config = await readImageConfig(source, manifest, image, signal).catch(() => undefined);
  const layers = manifest.layers.map(({ digest, mediaType, size }, index) => {
    return { digest, mediaType, size, diffId: config?.rootfs.diffIds[index] ?? null };
  });
  const forms = new Map<Digest, readonly Digest[]>();
  for (const { digest, diffId } of layers) forms.set(digest, await formsOf(store, digest, diffId));
  const sharers = await findSharers(context, record, forms);
  const strata: Stratum[] = [];
  for (const layer of layers) {
    const names = sharers.get(layer.digest) ?? [];
    const uncompressedSize = await tarSize(store, layer.digest, layer.diffId);
    const sharedWith = names.toSorted().slice(0, MOST_SHARERS);
    strata.push({ ...layer, uncompressedSize, sharedWith, shares: names.length });
  }
  return { name: record.name, layers: strata };
}

/** Blobs that hold the same layer, as far as the store has ever seen them. */
async function formsOf(store: Store, digest: Digest, diffId: Digest | null): Promise<readonly Digest[]> {
  if (diffId === null) return [digest];
  const known = await store.layers.findByDiffId(diffId);
  return [...new Set([digest, ...known.map((record) => record.digest)])];
}

async function findSharers(
  { store, signal }: TransferContext,
  own: ImageRecord,
  forms: ReadonlyMap<Digest, readonly Digest[]>,
): Promise<ReadonlyMap<Digest, string[]>> {
  const layersOf = Map.groupBy(
    forms.entries().flatMap(([layer, blobs]) => blobs.map((blob) => ({ layer, blob }))),
    ({ blob }) => blob,
  );
  const sharers = new Map<Digest, string[]>();
  for (const record of await store.images.list()) {
    signal.throwIfAborted();
    if (record.manifest.digest === own.manifest.digest || (await isIndexList(store, record))) continue;
    const shared = (await blobsOf(store, record)).flatMap((blob) => layersOf.get(blob) ?? []);
    for (const layer of new Set(shared.map((one) => one.layer))) {
      sharers.set(layer, [...(sharers.get(layer) ?? []), record.name]);
    }
  }
  return sharers;
}

/** None of an image whose documents are damaged. */
async function blobsOf(store: Store, record: ImageRecord): Promise<readonly Digest[]> {
  try {
    const { manifest } = await openManifest(new StoreSource(store, record), record.name, undefined);
    return manifest.layers.map(({ digest }) => digest);
  } catch {
    return [];
  }
}

async function tarSize(store: Store, digest: Digest, diffId: Digest | null): Promise<number | null> {
  const known = await store.layers.get(digest);
  if (known !== undefined) return known.uncompressedSize;
  return diffId === null ? null : ((await heldTar(store, diffId))?.size ?? null);
}
