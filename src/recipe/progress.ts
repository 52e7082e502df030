/** What a transfer tells while it runs; `--progress json` prints these events as they are, one a line. */
import type { Digest } from "../oci/digest.ts";
import type { ByteCounts } from "./bytes.ts";

/**
 * How far one blob has come. `done` of `total` bytes of the target are here, or with the registry that it goes to or on the network on the way
 * there; the byte kinds say where they came from.
 */
export interface BytesProgress extends Readonly<ByteCounts> {
  readonly type: "progress";
  readonly digest: Digest;
  readonly done: number;
  readonly total: number;
  /** Smoothed over a few seconds; bytes of the target, resumed ones not counted. */
  readonly bytesPerSecond: number;
  /** `null` while nothing moves. */
  readonly etaSeconds: number | null;
  /** Body bytes that were sent to a registry for it, also those that had to be sent again. Left out of what goes to no registry. */
  readonly sent?: number;
}

/** How far unpacking has come: uncompressed bytes, and entries of the tar. `total` is `null` where nobody knows it. */
export interface UnpackProgress {
  readonly type: "unpack";
  readonly digest: Digest;
  readonly done: number;
  readonly total: number | null;
  readonly entries: number;
  /** The layer is not unpacked but compressed another way; what comes of it has another digest. `total` is known in the end. */
  readonly compresses?: boolean;
}

/** How far the copy of a file has come. */
export interface DiskProgress {
  readonly type: "disk";
  /** Where it is copied to. */
  readonly path: string;
  readonly phase: "copying" | "checking" | "done";
  /** Bytes of the file's length that are dealt with, holes and all. */
  readonly done: number;
  /** The file's length. */
  readonly total: number;
  /** Bytes that were written. */
  readonly copied: number;
  /** Smoothed over a few seconds; bytes of data, for holes take no time. */
  readonly bytesPerSecond: number;
  /** `null` while nothing moves. */
  readonly etaSeconds: number | null;
}

/** How far a delta between two images has come. */
export interface DeltaProgress {
  readonly type: "delta";
  /** The base's image ID while the base is read, then the DiffIDs of the target's layers. */
  readonly digest: Digest;
  /** `queued`: a layer that is to be compared, whose `total` is 0 until it is opened; `common`: one that both images have at the same place. */
  readonly phase: "fingerprinting" | "queued" | "computing" | "common" | "done";
  /** Bytes of the tars that were read. */
  readonly done: number;
  readonly total: number;
  /** Smoothed over a few seconds. */
  readonly bytesPerSecond: number;
  /** `null` while nothing moves. */
  readonly etaSeconds: number | null;
}

export type ProgressEvent =
  /** `to`: where it is copied or pushed; what follows then tells of blobs on their way there, else into the store. */
  | {
      readonly type: "resolve";
      readonly reference: string;
      readonly digest?: Digest;
      readonly platform?: string;
      readonly to?: string;
    }
  /** To be got. All are told of before the first is begun, so that the whole is known; `done` bytes are here from before. */
  | { readonly type: "layer-queued"; readonly digest: Digest; readonly total: number; readonly done: number }
  /** A machine's disk that is to be made. What follows of it has its key as `digest`, and counts bytes of the disk; `total` is 0 where nobody knows it. */
  | { readonly type: "disk-queued"; readonly digest: Digest; readonly name: string; readonly total: number }
  /** To be unpacked and nothing else: `total` is of uncompressed bytes, `null` where nobody knows it. */
  | { readonly type: "unpack-queued"; readonly digest: Digest; readonly total: number | null }
  | { readonly type: "layer-start"; readonly digest: Digest; readonly total: number; readonly resumed: number }
  | BytesProgress
  | UnpackProgress
  | DiskProgress
  | DeltaProgress
  | {
      readonly type: "retry";
      readonly digest?: Digest;
      readonly host: string;
      readonly attempt: number;
      readonly delayMs: number;
      readonly reason: string;
    }
  | {
      readonly type: "failover";
      readonly digest?: Digest;
      readonly from: string;
      readonly to: string;
      readonly reason: string;
    }
  /** A host wants to be asked less, or has not said so for a while: it gets `limit` requests at once, `previous` before. */
  | { readonly type: "throttle"; readonly host: string; readonly limit: number; readonly previous: number }
  /** The plan `from` did not hold; another one goes on with what is missing. */
  | { readonly type: "fallback"; readonly digest: Digest; readonly from: string; readonly reason: string }
  /** Another process is getting the same blob, and has `done` of it. Told every half second while it lasts. */
  | { readonly type: "wait"; readonly digest: Digest; readonly done: number; readonly total: number }
  /** All bytes are here and the digest is right. */
  | { readonly type: "layer-verified"; readonly digest: Digest; readonly total: number }
  /** The registry took it from another of its repositories; nothing was sent. */
  | { readonly type: "layer-mounted"; readonly digest: Digest; readonly total: number; readonly from: string }
  /** Nothing to do: it is there. */
  | { readonly type: "layer-present"; readonly digest: Digest; readonly total: number }
  /** Fetched, verified and, where that was asked for, unpacked. */
  | { readonly type: "layer-done"; readonly digest: Digest; readonly total: number; readonly diffId?: Digest }
  | { readonly type: "image-done"; readonly reference: string; readonly digest: Digest }
  | { readonly type: "warning"; readonly message: string; readonly code?: string; readonly digest?: Digest };

export type ProgressSink = (event: ProgressEvent) => void;
