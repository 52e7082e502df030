/** The use case "convert": the same image with its layers compressed another way. */
import { VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import { copyImage, type CopyOptions, type CopyResult } from "./copy.ts";
import type { TransferContext } from "./context.ts";
import { recompressing, type RecompressedLayerResult, type RecompressOptions } from "./recompress.ts";

export interface ConvertOptions extends CopyOptions, RecompressOptions {}

export interface ConvertedLayer {
  readonly diffId: Digest;
  /** Digests of the blobs; the same for layers that were kept. */
  readonly from: Digest;
  readonly to: Digest;
  readonly mediaType: string;
  /** Bytes of the blobs. */
  readonly sizeBefore: number;
  readonly size: number;
  readonly how: "kept" | "converted";
  /** Why it could not be made as asked for, and is ordinary zstd; null when it is what was asked for. */
  readonly refused: string | null;
}

export interface ConvertResult extends CopyResult {
  readonly compression: string;
  /** Each layer once, in the order of their DiffIDs' digests. */
  readonly layers: readonly ConvertedLayer[];
}

/**
 * @param from an image of the store, or one with a transport
 * @param to a name for the store, or one with a transport
 * @throws VarveError as `copyImage`; `USAGE` for a level that the compression has not, and for a `docker-archive:`; `DIFFID_MISMATCH`,
 * `LAYER_INVALID`, `COMPRESSION_INVALID`
 */
export async function convertImage(
  context: TransferContext,
  from: string,
  to: string,
  options: ConvertOptions,
): Promise<ConvertResult> {
  if (to.startsWith("docker-archive:")) {
    throw new VarveError("USAGE", "layers in a docker-archive: are not compressed", {
      hint: `varve copy ${from} ${to} writes it; oci-archive: keeps layers as they are`,
    });
  }
  const recompress = recompressing(options);
  const copied = await copyImage(context, from, to, options, recompress.transform);
  const layers = await recompress.layers();
  await remember(context, layers);
  return {
    ...copied,
    warnings: [...copied.warnings, ...(await recompress.warnings())],
    compression: options.compression,
    layers: layers
      .map(({ diffId, from: before, to: after, refused }) => ({
        diffId,
        from: before.digest,
        to: after.digest,
        mediaType: after.mediaType,
        sizeBefore: before.size,
        size: after.size,
        how: before.digest === after.digest ? ("kept" as const) : ("converted" as const),
        refused,
      }))
      .toSorted((a, b) => (a.diffId < b.diffId ? -1 : 1)),
  };
}

/** What was learnt of the new blobs, where they are in the store now. */
async function remember({ store }: TransferContext, layers: readonly RecompressedLayerResult[]): Promise<void> {
  for (const { diffId, to, uncompressedSize, entries } of layers) {
    if (uncompressedSize === null || entries === null || (await store.content.stat(to.digest)) === undefined) continue;
    const { digest, mediaType, size } = to;
    await store.layers.put({ digest, diffId, mediaType, size, uncompressedSize, entries, verifiedAt: new Date() });
  }
}
