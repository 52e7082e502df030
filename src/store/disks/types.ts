/**
 * The contracts of the store's disks: raw disks of virtual machines, whole and verified, under their keys (`diskKey`), and the one way in.
 *
 * Life of a disk: `open(key, size)` takes the lock of the key and opens, or resumes, a partial file; its contents are written straight to their
 * places through windows, each an {@link Ingest} that verifies, journals and resumes by itself; what no window makes is a hole. `commit()` makes the
 * file durable, gives it its name and records what it holds. Closing without commit keeps what was journalled.
 */
import type { BlockBorder } from "../../codec/apple-lz4/decoder.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ContentInfo, Ingest } from "../types.ts";

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
  /** Remembers a border; cheap, and kept across processes, though not durably. Too near to the last one: it is dropped. */
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

/** A partial disk that this process has locked. */
export interface PartialDisk extends AsyncDisposable {
  readonly key: Digest;
  readonly size: number;
  readonly path: string;
  /** Whether the content was made in its place before, and verified. */
  isDone(content: DiskContent): boolean;
  /** The content's place; several may be open at once. @throws VarveError `INTERNAL` when it is done or open */
  window(content: DiskContent): Promise<DiskWindow>;
  /**
   * Puts content that is done at one place of this or another disk to a place of this one too, sharing blocks where the file system can,
   * holes kept; durable when the disk is committed.
   */
  copy(from: { readonly path: string; readonly offset: number }, to: DiskContent, signal?: AbortSignal): Promise<void>;
  /**
   * Gives the disk its name. `contents` are all that it has but holes, in the order of their offsets.
   * @throws VarveError `INTERNAL` when one of them is not done
   */
  commit(contents: readonly DiskContent[]): Promise<DiskInfo>;
  discard(): Promise<void>;
}

/** Where a content lies that this machine holds. */
export interface HeldContent {
  readonly key: Digest;
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}
