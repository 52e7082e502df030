/**
 * The contracts of the content store.
 *
 * Life of a blob: `ingest(descriptor)` takes the lock of its digest and opens (or resumes) a partial file; bytes are written
 * at any position; `commit()` hashes nothing again but requires that the whole was verified, makes it durable and moves it to
 * `blobs/`. That is the only way for content to appear. Closing an ingest without commit keeps what was journalled.
 */
import type { Digest } from "../oci/digest.ts";

export interface ContentInfo {
  readonly digest: Digest;
  readonly size: number;
  /** Of the file itself. Read-only to all but the store. */
  readonly path: string;
}

export interface ReadOptions {
  /** First byte. Default 0. */
  readonly start?: number;
  /** Exclusive. Default: the end. */
  readonly end?: number;
  readonly signal?: AbortSignal;
}

/** Half-open byte range. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A partial blob that this process has locked. */
export interface Ingest extends AsyncDisposable {
  readonly digest: Digest;
  readonly size: number;
  /** The data file, for readers that follow the front. */
  readonly path: string;
  /** Ranges that the journal vouched for and that were checked when the ingest was opened. */
  readonly resumed: readonly ByteRange[];
  /** Ranges on disk now, ordered and merged. */
  readonly done: readonly ByteRange[];
  /** Bytes from 0 that are contiguous. */
  readonly front: number;
  /** Writes at a position; the range is done when the promise settles. @throws VarveError `NO_SPACE`, `INGEST_LIMIT`, `IO` */
  write(position: number, bytes: Uint8Array): Promise<void>;
  /** Makes a run of zeros, as a hole where the file system can. */
  writeZeros(position: number, length: number): Promise<void>;
  /**
   * Takes back bytes that turned out to be wrong: they are missing again, and the front is before them. Readers that have
   * passed them are not told. A journal that vouches for them is not rewritten; the whole's digest finds that out.
   */
  forget(position: number, length: number): void;
  /** Reads back bytes that are done. */
  read(position: number, length: number): Promise<Uint8Array>;
  /**
   * Settles when `front` is above `position` or the ingest is complete.
   * @throws what {@link fail} was given; VarveError `INTERRUPTED` when the ingest is closed or discarded before
   */
  waitFront(position: number, signal?: AbortSignal): Promise<void>;
  /**
   * Writes what is done to the journal, durably. Happens by itself every 64 MiB, a second after the first unrecorded byte,
   * and at the close; calling it more often is allowed and costs a sync each time.
   */
  checkpoint(): Promise<void>;
  /**
   * Publishes the blob under its digest: fsync, rename, fsync of the directory. The caller passes the digest and size that it
   * computed over the very bytes written.
   * @throws VarveError `DIGEST_MISMATCH`, `SIZE_MISMATCH`; the data is then removed and the next try starts clean.
   */
  commit(computed: { digest: Digest; size: number }): Promise<ContentInfo>;
  /** Drops the partial data. */
  discard(): Promise<void>;
  /** Wakes readers that wait with this error; the partial data stays. */
  fail(error: unknown): void;
}
