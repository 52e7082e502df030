/** The typed messages between the pool and its threads. Bytes are transferred, never copied. */
import type { Digest, DigestAlgorithm } from "../oci/digest.ts";
import type { ErrorCode } from "../errors/table.ts";
import type { Decompressor } from "../codec/decompressors.ts";
import type { LayerCheck } from "../layer/check-layer.ts";
import type { RecompressedLayer, RecompressLayerOptions } from "../layer/recompress-layer.ts";
import type { LayerTarget, UnpackedLayer } from "../layer/layer-target.ts";

/** What a thread is to do with a layer's blob. */
export interface Job {
  readonly kind: "check" | "open" | "unpack" | "recompress";
  readonly path: string;
  readonly size: number;
  /** Bytes from 0 that can be read at the start. */
  readonly front: number;
  readonly algorithm: DigestAlgorithm;
  readonly decompressor: Decompressor;
  /** Bytes that may be sent before any were taken; for `open` only. */
  readonly credit: number;
  /** For `unpack` only. */
  readonly target?: LayerTarget;
  /** For `recompress` only; `output` is a file descriptor, which threads share. */
  readonly recompress?: Pick<RecompressLayerOptions, "compression" | "level"> & { readonly output: number };
  /** As in `TarStreamOptions`; a check vouches for nothing. */
  readonly isTar?: boolean;
  readonly vouched?: Digest;
}

export type ToThread =
  | { readonly type: "start"; readonly id: number; readonly job: Job }
  /** The file can be read up to here. */
  | { readonly type: "front"; readonly id: number; readonly front: number }
  /** So many bytes in all may be sent. */
  | { readonly type: "credit"; readonly id: number; readonly total: number }
  | { readonly type: "cancel"; readonly id: number };

export type FromThread =
  | { readonly type: "chunk"; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "opened"; readonly id: number; readonly diffId: Digest }
  | { readonly type: "checked"; readonly id: number; readonly result: LayerCheck }
  /** A job that takes turns has read all that it was told of, and its turn is over until this byte can be read. */
  | { readonly type: "hungry"; readonly id: number; readonly position: number }
  /** So many bytes of the tar are done with. */
  | { readonly type: "progress"; readonly id: number; readonly done: number }
  | { readonly type: "unpacked"; readonly id: number; readonly result: UnpackedLayer }
  | { readonly type: "recompressed"; readonly id: number; readonly result: RecompressedLayer }
  | { readonly type: "failed"; readonly id: number; readonly error: PlainError };

/** A coded error as data: classes do not cross threads. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly detail: Readonly<Record<string, unknown>>;
}
