/** Who compares images: threads (src/workers), or the caller's own. What is compared is read and what comes of it is written through the caller. */
import type { Base } from "../../codec/librsync/base.ts";
import type { TarsAsOne } from "../../layer/seekable/concat-tars.ts";
import type { Digest } from "../../oci/digest.ts";

/** A delta as it was written, before it is compressed. */
export interface RawDelta {
  /** Bytes. */
  readonly size: number;
  /** Commands, and bytes of the new tar that they make. */
  readonly copies: number;
  readonly copiedBytes: number;
  readonly literals: number;
  readonly literalBytes: number;
  /** Of the tar that it makes, as it was read. */
  readonly diffId: Digest;
}

/** A tar-diff as it was written, and is published. */
export interface WrittenTarDiff {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly operations: number;
  /** Bytes of the new tar: as the old one has them, with differences, and from the delta itself. */
  readonly copiedBytes: number;
  readonly addedBytes: number;
  readonly literalBytes: number;
  /** Of the tar that it makes, as it was read. */
  readonly diffId: Digest;
}

/** What is compared. Where it lies in files as it is, threads read these themselves. */
export type ComparedTar = Base & Partial<Pick<TarsAsOne, "parts" | "tars">>;

export interface CompareOptions {
  readonly signal: AbortSignal;
  /** Told how many bytes were read of what is read through. */
  readonly onProgress: (done: number) => void;
}

/** One base, indexed, for deltas to any number of tars. Dispose of it to give its memory back. */
export interface BaseIndex extends AsyncDisposable {
  /**
   * Writes the librsync delta that makes `target` of the base, from the file's beginning. One after the other.
   * @param output a file descriptor, which threads share
   * @throws VarveError as `target` and the base do; `NO_SPACE`, `IO`; the signal's reason
   */
  write(target: ComparedTar, output: number, options: CompareOptions): Promise<RawDelta>;
}

export interface DeltaThreads {
  /** How many comparisons run at the same time. */
  readonly lanes: number;
  /** Reads all of the base. @throws VarveError as the base; the signal's reason */
  index(base: ComparedTar, options: CompareOptions): Promise<BaseIndex>;
  /**
   * Writes the tar-diff that makes `target` of `from`, from the file's beginning. Any number at the same time.
   * @throws VarveError `LAYER_INVALID`, `LAYER_LIMIT`; as the tars; `NO_SPACE`, `IO`; the signal's reason
   */
  tarDiff(from: ComparedTar, target: ComparedTar, output: number, options: CompareOptions): Promise<WrittenTarDiff>;
}
