/** Where an ingest keeps its bytes and its progress, and what becomes of them when it ends: of a blob, or of a place in a disk. */
import type { Digest } from "../oci/digest.ts";
import type { DataFile } from "./data-file.ts";

/** Told after each step of a commit, a discard or a collection of garbage, so that tests can die there. */
export type StepHook = (
  step:
    | "synced"
    | "recorded"
    | "renamed"
    | "names-synced"
    | "removed"
    | "trashed"
    | "marked"
    | "unlinked"
    | "swept"
    | "tidied",
) => void;

export interface IngestPlace {
  readonly digest: Digest;
  /** The file with the data while it is partial. */
  readonly data: string;
  /** The file with the data once it is published. */
  readonly published: string;
  readonly journal: string;
  /** From how many bytes on the journal's space is taken before the data can fill the disk. */
  readonly earlyJournal: number;
  /** Makes what the journal lies in, if it is not there. */
  make(): Promise<void>;
  /**
   * Makes what the data needs, and opens it.
   * @param usable whether the journal vouches for what is there; otherwise it is anything, and none of it is kept
   */
  open(size: number, usable: boolean): Promise<DataFile>;
  /** Makes the names of data and journal durable, so that they are found after a power cut. */
  syncNames(): Promise<void>;
  /** All is there and synced: makes it what others find. */
  publish(sync: boolean, step: StepHook): Promise<void>;
  /** Lets go of the data and its progress. */
  discard(step: StepHook): Promise<void>;
  /** Removes what was kept of the progress, when the data has gone elsewhere or was never there. */
  remove(): Promise<void>;
}
