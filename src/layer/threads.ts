/**
 * What the use cases need of threads, without knowing threads: the heavy work on a layer's bytes (inflating, hashing, unpacking)
 * done beside the caller. `inProcess` does it in the caller's own thread; `workers/` has the one with threads.
 */
import type { LayerCheck } from "./check-layer.ts";
import type { RecompressedLayer, RecompressLayerOptions } from "./recompress-layer.ts";
import type { LayerTarget, UnpackedLayer } from "./layer-target.ts";
import type { TarStream, TarStreamOptions } from "./tar-stream.ts";

/** A blob file that may still be growing: an ingest, or finished content. */
export interface FrontFile {
  readonly path: string;
  /** Bytes when complete. */
  readonly size: number;
  /** Bytes from 0 that can be read now. */
  readonly front: number;
  /** Settles when `front` has passed `position`; rejects when the file will never be complete. */
  waitFront(position: number, signal?: AbortSignal): Promise<void>;
}

export interface UnpackLayerOptions extends TarStreamOptions {
  /** Told now and then how much of the tar has been unpacked, in bytes, and at the end. */
  readonly onProgress?: (done: number) => void;
}

export interface LayerThreads extends AsyncDisposable {
  /**
   * Decompresses a layer that may still be arriving, hashes the tar and reads it through to its end.
   * @throws VarveError `COMPRESSION_INVALID`, `LAYER_INVALID`, `LAYER_LIMIT`
   */
  check(file: FrontFile, options: TarStreamOptions): Promise<LayerCheck>;
  /**
   * Unpacks a layer that may still be arriving into `target`, without its parents (see layer-target.ts). Only as many as there are
   * places work at the same time, the one with the most left to do first; one that waits for its file takes no place. The DiffID is told,
   * not checked: until the caller has, nothing may be made of the target.
   * @throws VarveError as `check`, and `NO_SPACE`, `PERMISSION` ...; `DECOMPRESSOR_FAILED` says nothing against the layer
   */
  unpack(file: FrontFile, target: LayerTarget, options: UnpackLayerOptions): Promise<UnpackedLayer>;
  /**
   * Compresses a layer that may still be arriving another way, and writes it to `output`, an open file, from its beginning. They take turns
   * as those do that are unpacked.
   * @throws VarveError as `check`, and `NO_SPACE`, `IO`
   */
  recompress(file: FrontFile, output: number, options: RecompressLayerOptions): Promise<RecompressedLayer>;
  /** The tar of a complete blob; a few MiB are decompressed ahead of the consumer. */
  open(blob: { readonly path: string; readonly size: number }, options: TarStreamOptions): TarStream;
}
