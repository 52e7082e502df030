/**
 * The contracts of the store's disks: raw disks of virtual machines, whole and verified, under their keys (`diskKey`), and the two ways in.
 *
 * Life of a disk: `open({ key, size })` takes the lock of the key and opens, or resumes, a partial file; its contents are written straight to
 * their places through windows, each an {@link Ingest} that verifies, journals and resumes by itself; what no window makes is a hole. `commit()`
 * makes the file durable, records what it holds and gives it its name. Closing without commit keeps what was journalled. A disk that is
 * imported comes whole: `stage()` names a file for it, and `publish` does what `commit` does.
 */
import type { BlockBorder } from "../../codec/apple-lz4/decoder.ts";
import type { Digest } from "../../oci/digest.ts";
import type { LockWaitOptions } from "../locks.ts";
import type { ByteRange, ContentInfo, Ingest } from "../types.ts";

export interface DiskInfo {
  /** What it is known by, see `diskKey`. */
  readonly key: Digest;
  /** Of the raw file. Read-only to all but the store. */
  readonly path: string;
  /** Bytes of the disk, holes included. */
  readonly size: number;
  /** Bytes of disk space that the file takes. */
  readonly allocatedBytes: number;
}

/** A run of a disk's bytes, and their digest. */
export interface DiskContent {
  readonly digest: Digest;
  readonly size: number;
  /** Of its first byte in the disk. */
  readonly offset: number;
}

/** Where a stream of linked blocks can be taken up again: facts of a blob, whatever is on the disk. */
export interface DecoderCheckpoints {
  /** The last border that lies at or before `front` decoded bytes. */
  before(front: number): BlockBorder | undefined;
  /** Remembers a border; cheap, and kept across processes, though not durably. Too near to the last one, or before it: it is dropped. */
  note(border: BlockBorder): void;
}

/** A place of a disk as an ingest: positions count from the place's start, its digest is that of the place's bytes. */
export interface DiskWindow extends Ingest {
  /** Of the file that {@link Ingest.path} names: where the window begins in it. */
  readonly offset: number;
  readonly checkpoints: DecoderCheckpoints;
  /** The window is done for good, durably before this settles. The info's path is the disk's file. */
  commit(computed: { digest: Digest; size: number }): Promise<ContentInfo>;
}

export interface WindowOptions {
  /** The blob that the content is decoded from: borders that were noted of another one are forgotten. */
  readonly blob?: Digest;
  /** When what an earlier try left is checked: before this settles (the default), or when `checkClaims` is called. */
  readonly check?: "first" | "later";
  /** For that check. */
  readonly signal?: AbortSignal;
}

/** A partial disk that this process has locked. */
export interface PartialDisk extends AsyncDisposable {
  readonly key: Digest;
  readonly size: number;
  /** Of the file; the disk's own once it is committed. */
  readonly path: string;
  /** Whether the content was made in its place before, and verified. */
  isDone(content: DiskContent): boolean;
  /**
   * The content's place; several may be open at once.
   * @throws VarveError `INTERNAL` when it is done, open, or not within the disk
   */
  window(content: DiskContent, options?: WindowOptions): Promise<DiskWindow>;
  /**
   * Puts content that is done at one place of this or another disk to a place of this one too, sharing blocks where the file system can,
   * holes kept; durable when the disk is committed.
   * @throws VarveError `NO_SPACE`, `IO`; the signal's reason
   */
  copy(from: { readonly path: string; readonly offset: number }, to: DiskContent, signal?: AbortSignal): Promise<void>;
  /**
   * Gives the disk its name. `contents` are all that it has but holes, in the order of their offsets.
   * @throws VarveError `INTERNAL` when one of them is not done or two of them overlap; `NO_SPACE`, `IO`: all is as before then, or the disk
   * has its name and only its durability could not be had
   */
  commit(contents: readonly DiskContent[]): Promise<DiskInfo>;
  /** Drops the partial data. */
  discard(): Promise<void>;
}

/** Where a content lies that this machine holds. The disk stays as long as its key is leased; who has it open keeps the bytes anyway. */
export interface HeldContent {
  readonly key: Digest;
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

/** A disk that is not whole, whoever is at work on it. */
export interface PartialDiskInfo {
  readonly key: Digest;
  readonly path: string;
  /** Bytes of disk space that it takes. */
  readonly allocatedBytes: number;
  readonly updatedAt: Date;
}

/** What an earlier try left of one content: claims, which nobody has checked. */
export interface PlaceLeft {
  readonly held: readonly ByteRange[];
  readonly checkpoints: Pick<DecoderCheckpoints, "before">;
}

/** What an earlier try left of a disk, for plans. */
export interface DiskLeft {
  isDone(content: DiskContent): boolean;
  /** @param blob that the content would be decoded from */
  of(content: DiskContent, blob: Digest): Promise<PlaceLeft>;
}

/** A file for a disk that comes whole, from outside the store. It goes when this is disposed, unless it was published. */
export interface StagedDisk extends AsyncDisposable {
  /** Where the disk is to be put; nothing is there yet, and its folder is on the store's file system. */
  readonly path: string;
  /**
   * Makes the file a disk of the store, or drops it when the store has the disk. `contents` are all that it has but holes, in the order of
   * their offsets; the caller has verified them.
   * @throws VarveError `INTERNAL` when they overlap or lie beyond the file; `NO_SPACE`, `IO`, `INTERRUPTED`
   */
  publish(key: Digest, contents: readonly DiskContent[], options?: LockWaitOptions): Promise<DiskInfo>;
}
