/**
 * The chunk index of an image of disks in the store: listed among what refers to the image (transports/store-referrers.ts), so it is kept as long
 * as the image is, and goes with it (index-lists.ts).
 */
import {
  DISK_INDEX_TYPE,
  EMPTY_CONFIG,
  writeIndexManifest,
  type IndexedChunk,
} from "../../../codec/disk-index/index-manifest.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import { digestOf, type Digest } from "../../../oci/digest.ts";
import { parseManifest, type Manifest } from "../../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../../oci/media-types.ts";
import type { Lease } from "../../../store/leases.ts";
import type { Store } from "../../../store/store.ts";
import { listReferrers } from "../../transports/store-referrers.ts";

export interface PublishOptions {
  /** Canonical, of the image. */
  readonly name: string;
  readonly manifest: Manifest;
  /**
   * Documents of `writeChunkIndex`, by the digests of the chunks' blobs; or what they are, where they are in the store already, and leased. Chunks without
   * one have none.
   */
  readonly indexes: ReadonlyMap<Digest, Uint8Array | IndexedChunk["index"]>;
  readonly lease: Pick<Lease, "add">;
  readonly signal: AbortSignal;
}

/** @returns the referrer; undefined when there is no index to publish. @throws VarveError `MANIFEST_TOO_LARGE`, `NO_SPACE`, as the store */
export async function publishChunkIndex(store: Store, options: PublishOptions): Promise<Descriptor | undefined> {
  const { name, manifest, indexes, lease, signal } = options;
  const put = async (bytes: Uint8Array): Promise<{ digest: Digest; size: number }> => {
    const digest = digestOf(bytes);
    await lease.add(digest);
    await store.content.writeBytes(digest, bytes);
    return { digest, size: bytes.length };
  };
  const chunks = [...new Set(manifest.layers.map(({ digest }) => digest))].filter((chunk) => indexes.has(chunk));
  if (chunks.length === 0) return undefined;
  await put(EMPTY_CONFIG);
  const written: IndexedChunk[] = [];
  for (const chunk of chunks) {
    const index = indexes.get(chunk)!;
    written.push({ chunk, index: index instanceof Uint8Array ? await put(index) : index });
  }
  const subject = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
  const bytes = writeIndexManifest(subject, written);
  const { digest, size } = await put(bytes);
  const document = parseManifest(bytes, { contentType: MEDIA_TYPES.ociManifest });
  await listReferrers(store, name, [document], lease, signal);
  return { mediaType: MEDIA_TYPES.ociManifest, digest, size, artifactType: DISK_INDEX_TYPE };
}
