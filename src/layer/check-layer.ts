/** Whether a layer is what it is said to be, without making a tree of it: decompressed, read to its end as a tar, hashed. */
import { decompress } from "../codec/decompress.ts";
import type { TarHandler, TarLimits } from "../codec/tar/entry.ts";
import { TarParser } from "../codec/tar/parser.ts";
import { digestAlgorithm, Digester, type Digest, type DigestAlgorithm } from "../oci/digest.ts";
import { checkDiffId } from "./apply-layer.ts";

export interface LayerCheck {
  readonly diffId: Digest;
  /** Bytes of the tar. */
  readonly size: number;
  /** Members of the tar. */
  readonly entries: number;
}

export interface CheckLayerOptions {
  /** What the image's config says of the tar. Default: it is only told, not checked. */
  readonly diffId?: Digest;
  /** Of the DiffID that is told. Default: that of `diffId`, else sha256. */
  readonly algorithm?: DigestAlgorithm;
  readonly limits?: TarLimits;
  /** Whether it is the tar itself, whatever it begins with. Default: told by its magic. */
  readonly isTar?: boolean;
  readonly signal?: AbortSignal;
}

const nobody: TarHandler = { entry: () => {}, data: () => {}, endEntry: () => {} };

/**
 * Reads a layer blob through. Its compression is told by its magic, as all engines do, whatever its media type says.
 * @throws COMPRESSION_INVALID, LAYER_INVALID, LAYER_LIMIT, DIFFID_MISMATCH; the source's errors and the signal's reason as they are
 */
export async function checkLayer(
  compressed: AsyncIterable<Uint8Array>,
  options: CheckLayerOptions = {},
): Promise<LayerCheck> {
  const { diffId: expected, limits, isTar = false, signal } = options;
  const algorithm = options.algorithm ?? (expected === undefined ? "sha256" : digestAlgorithm(expected));
  const digester = new Digester(algorithm);
  const parser = new TarParser(nobody, limits);
  let size = 0;
  const reading = {
    lend: true,
    ...(isTar && { compression: "none" as const }),
    ...(signal !== undefined && { signal }),
  };
  for await (const chunk of decompress(compressed, reading)) {
    signal?.throwIfAborted();
    size += chunk.byteLength;
    digester.update(chunk);
    parser.write(chunk);
  }
  parser.end();
  const diffId = digester.digest();
  checkDiffId(diffId, expected);
  return { diffId, size, entries: parser.entries };
}
