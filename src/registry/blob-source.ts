/** What the recipe engine needs of a registry, so that it can be fed by a client, a mirror chain or a test. */
import type { Descriptor } from "../oci/descriptor.ts";

export interface BlobRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export interface BlobRequest {
  /** Bytes wanted; the whole blob, asked for without a Range header, when left out. */
  readonly range?: BlobRange;
  readonly signal?: AbortSignal;
  /** Told of what happens on the way, for progress and accounting. */
  readonly onEvent?: (event: TransportEvent) => void;
}

export type TransportEvent =
  | { readonly type: "request"; readonly host: string }
  /** Body bytes that came over the network, also those that had to be thrown away. */
  | { readonly type: "received"; readonly bytes: number }
  /** Body bytes that were handed to the network, also those that have to be sent again. */
  | { readonly type: "sent"; readonly bytes: number }
  /**
   * An upload has come to this byte of its blob: all before it is at the registry, or with the network. Goes back where a part has to be sent
   * again. What a source is read for only to hash it once more is not told of.
   */
  | { readonly type: "position"; readonly position: number }
  | {
      readonly type: "retry";
      readonly host: string;
      readonly attempt: number;
      readonly delayMs: number;
      readonly reason: string;
    }
  /** The host wants to be asked less, or has not said so for a while: from now on it gets `limit` requests at once. */
  | { readonly type: "throttle"; readonly host: string; readonly limit: number; readonly previous: number }
  /** A request was held back for so long, because its host wants to be asked less. */
  | { readonly type: "queued"; readonly host: string; readonly ms: number }
  | { readonly type: "failover"; readonly from: string; readonly to: string; readonly reason: string }
  | { readonly type: "range-ignored"; readonly host: string }
  /** A registry's words to its users, printable; each text comes once in a client's life. */
  | { readonly type: "warning"; readonly host: string; readonly text: string };

export interface BlobSource {
  /**
   * Exactly the bytes asked for, in order. Connection errors, 408, 429, 5xx and truncated bodies are retried inside, from
   * the byte where the stream broke. Chunks belong to the consumer.
   *
   * @throws VarveError `RANGE_UNSUPPORTED` when a range beyond the blob's start cannot be had from any host; `BLOB_UNKNOWN`,
   * `UNAUTHORIZED`, `DENIED`, `REGISTRY_*` otherwise.
   */
  readBlob(blob: Descriptor, request?: BlobRequest): AsyncIterable<Uint8Array>;
}
