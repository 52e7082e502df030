/** Changes as a new layer in the store: a tar, compressed, and what is known of both. */
import { compress, type Compression } from "../../codec/compress.ts";
import type { Change, Changes } from "../../layer/diff/changes.ts";
import { writeLayerTar } from "../../layer/diff/layer-tar.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { Digester, type Digest } from "../../oci/digest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import type { Lease } from "../../store/leases.ts";
import type { TransferContext } from "../context.ts";
import { storeFile } from "./store-file.ts";
import { UnnamedFile } from "./unnamed-file.ts";

export interface StoreLayerOptions {
  readonly compression: Compression;
  readonly sourceDateEpoch: number | undefined;
  /** Keeps the blob until an image names it. */
  readonly lease: Lease;
}

export interface NewLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** Bytes of the tar. */
  readonly tarSize: number;
  readonly entries: number;
}

const LAYER_TYPES: Readonly<Record<Compression, string>> = {
  none: MEDIA_TYPES.ociLayer,
  gzip: MEDIA_TYPES.ociLayerGzip,
  zstd: MEDIA_TYPES.ociLayerZstd,
};

/**
 * The blob's digest, which is its place in the store, is known only when the last byte is; so the bytes wait in a file without a name.
 * @throws VarveError as `writeLayerTar`; `NO_SPACE`, `PERMISSION`, `IO`
 */
export async function storeLayer(
  { store, signal }: TransferContext,
  changes: Changes,
  { compression, sourceDateEpoch, lease }: StoreLayerOptions,
): Promise<NewLayer> {
  const [tarDigester, blobDigester] = [new Digester(), new Digester()];
  const count = { entries: 0 };
  const tar = writeLayerTar(counted(changes, count), {
    signal,
    ...(sourceDateEpoch !== undefined && { sourceDateEpoch }),
  });
  await using file = await UnnamedFile.create(store.root);
  for await (const chunk of compress(hashed(tar, tarDigester), compression)) {
    signal.throwIfAborted();
    blobDigester.update(chunk);
    await file.append(chunk);
  }
  const [tarSize, diffId, digest] = [tarDigester.size, tarDigester.digest(), blobDigester.digest()];
  const descriptor = { mediaType: LAYER_TYPES[compression], digest, size: file.size };
  await lease.add(digest);
  await storeFile({ store, signal }, descriptor, file);
  const { entries } = count;
  const { mediaType, size } = descriptor;
  const facts = { digest, diffId, mediaType, size, uncompressedSize: tarSize, entries, verifiedAt: new Date() };
  await store.layers.put(facts);
  return { descriptor, diffId, tarSize, entries };
}

async function* hashed(bytes: AsyncIterable<Uint8Array>, digester: Digester): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    digester.update(chunk);
    yield chunk;
  }
}

async function* counted(changes: Changes, count: { entries: number }): AsyncGenerator<Change> {
  for await (const change of changes) {
    count.entries += change.kind !== "delete" && change.opaque ? 2 : 1;
    yield change;
  }
}
