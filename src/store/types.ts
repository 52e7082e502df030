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

export interface ClaimsOptions {
  readonly signal?: AbortSignal;
  /** Told of ranges as they become `done`. */
  readonly onHeld?: (range: ByteRange) => void;
  /** Told of ranges that are missing after all. */
  readonly onLost?: (range: ByteRange) => void;
}

export interface WriteOptions {
  /** The bytes were read from this very place of the data file: they need not be written to it. Default false. */
  readonly inPlace?: boolean;
}

/** A range of an open file. */
export interface FileRange {
  readonly descriptor: number;
  readonly start: number;
  readonly length: number;
}

/** A partial blob that this process has locked. */
export interface Ingest extends AsyncDisposable {
  readonly digest: Digest;
  readonly size: number;
  /** The data file, for readers that follow the front. */
  readonly path: string;
  /** Where in that file its bytes begin. Default 0. */
  readonly offset?: number;
  /** Ranges that an earlier try left: those that hold, and those that are still to be checked. */
  readonly resumed: readonly ByteRange[];
  /** Ranges that the journal vouches for and that are not checked yet. They are not `done`, and need not be fetched. */
  readonly claimed: readonly ByteRange[];
  /** Ranges on disk now that can be relied on, ordered and merged. */
  readonly done: readonly ByteRange[];
  /** Bytes from 0 that are contiguous. */
  readonly front: number;
  /**
   * Checks what is {@link claimed}, from the front on; afterwards nothing is. What holds becomes `done`, the rest is missing.
   * Only the first call counts; it goes on beside writes and reads, and ends with the ingest.
   * @throws the signal's reason; VarveError `IO`
   */
  checkClaims(options?: ClaimsOptions): Promise<void>;
  /**
   * Checks what is {@link claimed} of `[start, end)` before the rest, and settles when nothing of it is any more. Where it is missing: as
   * {@link checkClaims} has it.
   * @throws as {@link checkClaims}
   */
  checkFirst?(start: number, end: number): Promise<void>;
  /** Writes at a position; the range is done when the promise settles. @throws VarveError `NO_SPACE`, `INGEST_LIMIT`, `IO` */
  write(position: number, bytes: Uint8Array, options?: WriteOptions): Promise<void>;
  /**
   * Makes the data file share the range of another file, where their file system can. Positions and lengths have to be whole
   * blocks of 4096 bytes. What is shared is there, but not `done`: it is read, verified, and written `inPlace`.
   * @returns false when nothing is shared
   * @throws VarveError `NO_SPACE`, `INGEST_LIMIT`, `IO`
   */
  share(position: number, range: FileRange): Promise<boolean>;
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
