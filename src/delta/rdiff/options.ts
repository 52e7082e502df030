/** What all use cases of `varve rdiff` take. A path `-` is the standard stream, where a stream will do. */
import type { ProgressSink } from "../../recipe/progress.ts";

export const STANDARD_STREAM = "-";

export interface StandardStreams {
  readonly input: AsyncIterable<Uint8Array>;
  /** Resolves when the piece is written, and rejects when it cannot be. */
  readonly write: (piece: Uint8Array) => Promise<void>;
}

export interface RdiffOptions {
  /** Whether a file that is there is replaced, when all is done. Default false. */
  readonly force?: boolean;
  /** Whether to wait until the result is on the disk. Default true. */
  readonly sync?: boolean;
  /** Default: the process's. */
  readonly streams?: StandardStreams;
  /** What is not whole is removed when it aborts. */
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}
