/**
 * One layer's tar into a tree, in one pass over its bytes: parsed, applied and hashed. The DiffID covers everything to
 * the end of the stream, also what follows the archive's end blocks.
 */
import type { TarHandler, TarLimits } from "../codec/tar/entry.ts";
import { TarParser } from "../codec/tar/parser.ts";
import { VarveError } from "../errors/varve-error.ts";
import { digestAlgorithm, Digester, type Digest, type DigestAlgorithm } from "../oci/digest.ts";
import type { LayerApplier } from "./apply.ts";
import { TarStream } from "./tar-stream.ts";

export interface ApplyLayerOptions {
  /** What the image's config says of the tar. Default: it is only told, not checked. */
  readonly diffId?: Digest;
  /** Of the DiffID that is told. Default: that of `diffId`, else sha256. */
  readonly algorithm?: DigestAlgorithm;
  readonly limits?: TarLimits;
  readonly signal?: AbortSignal;
  /** Told how many bytes of the tar have been applied, after each chunk. */
  readonly onBytes?: (done: number) => void;
}

export interface ApplyLayerThrough extends ApplyLayerOptions {
  /** What the members go through on their way to the applier. Default: they are given to it. */
  readonly through?: TarHandler;
}

export interface AppliedLayer {
  readonly diffId: Digest;
  /** Bytes of the tar. */
  readonly size: number;
}

/**
 * Applies an uncompressed tar as the next layer. A `TarStream` has hashed itself already and is not hashed again.
 * @throws LAYER_INVALID, LAYER_LIMIT, DIFFID_MISMATCH, NO_SPACE, PERMISSION; the source's errors and the signal's reason as
 * they are. The tree is then incomplete and the applier of no more use.
 */
export async function applyLayer(
  tar: AsyncIterable<Uint8Array>,
  applier: LayerApplier,
  options: ApplyLayerThrough = {},
): Promise<AppliedLayer> {
  options.signal?.throwIfAborted();
  applier.beginLayer();
  const applied = await readTar(tar, options.through ?? applier, options);
  checkDiffId(applied.diffId, options.diffId);
  applier.endLayer();
  return applied;
}

/**
 * Reads an uncompressed tar through to its end, and tells what it is; that its DiffID is the expected one is not checked.
 * @throws LAYER_INVALID, LAYER_LIMIT; the handler's and the source's errors and the signal's reason as they are
 */
export async function readTar(
  tar: AsyncIterable<Uint8Array>,
  handler: TarHandler,
  options: ApplyLayerOptions = {},
): Promise<AppliedLayer> {
  const { diffId: expected, limits, signal, onBytes } = options;
  const algorithm = options.algorithm ?? (expected === undefined ? "sha256" : digestAlgorithm(expected));
  const digester = new Digester(algorithm);
  const parser = new TarParser(handler, limits);
  let size = 0;
  signal?.throwIfAborted();
  for await (const chunk of tar) {
    signal?.throwIfAborted();
    size += chunk.byteLength;
    if (!(tar instanceof TarStream)) digester.update(chunk);
    parser.write(chunk);
    onBytes?.(size);
  }
  parser.end();
  return { diffId: tar instanceof TarStream ? tar.diffId : digester.digest(), size };
}

/** @throws DIFFID_MISMATCH */
export function checkDiffId(diffId: Digest, expected: Digest | undefined): void {
  if (expected === undefined || diffId === expected) return;
  throw new VarveError("DIFFID_MISMATCH", `the layer's tar is ${diffId}, but the image's config says ${expected}`, {
    detail: { expected, computed: diffId },
  });
}
