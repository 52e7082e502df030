/**
 * What `/v2/` serves. A content source gives what one or many registries hold; repositories are one that can be written to as well. The
 * protocol (routes, ranges, errors, headers) is the handler's; a source knows nothing of HTTP.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";

/** Who asks, as far as a source may know. */
export interface Asked {
  /** Aborted when the client is gone or the daemon stops. What others wait for goes on all the same. */
  readonly signal: AbortSignal;
  /** What the client calls the registry it wants (`?ns=`), as it stood there. */
  readonly namespace?: string;
  /** What it sent as Authorization, where that was not for the daemon itself. */
  readonly authorization?: string;
  /** What it sent as Via, so that daemons which ask each other, or themselves, notice. */
  readonly via?: string;
}

/** A manifest or an index with its bytes as they were pushed or received; they have been checked against the digest. */
export interface ServedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** For people, to be sent as `Warning: 299`: that it is what upstream had when it was last reached. */
  readonly warning?: string;
}

/** A blob that is here, or that is on its way. */
export interface ServedBlob {
  readonly digest: Digest;
  readonly size: number;
  /** The file that has these bytes and no others, where the blob is whole. Read-only. */
  readonly path?: string;
  /**
   * Bytes `[start, end)` in their order, in chunks of at most 1 MiB that belong to the consumer; of a blob on its way as they arrive.
   * @throws VarveError `DIGEST_MISMATCH`, `REGISTRY_*` ...: what was given by then is not to be trusted
   */
  read(start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Undefined stands for "not here"; what may be elsewhere and could not be asked for is thrown. */
export interface ContentSource {
  /** What a tag or digest stands for, without the bytes where that is cheaper (HEAD). Default: by {@link manifest}. */
  resolve?(
    name: string,
    reference: string,
    asked: Asked,
  ): Promise<(Omit<ServedManifest, "bytes"> & { readonly size: number }) | undefined>;
  /** @throws VarveError `REGISTRY_*`, `UNAUTHORIZED`, `DENIED` ... */
  manifest(name: string, reference: string, asked: Asked): Promise<ServedManifest | undefined>;
  blob(name: string, digest: Digest, asked: Asked): Promise<ServedBlob | undefined>;
  /** In lexical order; undefined when there is no such repository. */
  tags(name: string, asked: Asked): Promise<readonly string[] | undefined>;
  /**
   * Whether what is pushed to this name here is what is read under it: not where it stands for another registry's. Default: yes.
   */
  writable?(name: string, asked: Asked): Promise<boolean>;
  /** Nothing refers to what nobody knows: then it is empty. */
  referrers(name: string, subject: Digest, asked: Asked): Promise<readonly Descriptor[]>;
}
