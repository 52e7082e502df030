/** What a parser expects next, and where an archive may end. */
import type { TarLimits } from "./entry.ts";
import { invalid } from "./fault.ts";

export type State = 0 | 1 | 2 | 3 | 4 | 5 | 6;
export const HEADER = 0;
export const SECOND_ZERO_BLOCK = 1;
export const EXTENSION = 2;
export const SPARSE = 3;
export const DATA = 4;
export const PADDING = 5;
export const TRAILER = 6;

export const DEFAULT_LIMITS: Required<TarLimits> = {
  entries: 10_000_000,
  extensionBytes: 1024 * 1024,
  nameBytes: 4096,
  sparseExtents: 1_000_000,
};

export interface Progress {
  /** Bytes of a block that are there. */
  readonly filled: number;
  /** Bytes of payload that are not. */
  readonly remaining: number;
  /** In the archive. */
  readonly offset: number;
}

/** The stream is over in this state. @throws LAYER_INVALID when something is cut short */
export function checkEnd(state: State, { filled, remaining, offset }: Progress): void {
  switch (state) {
    case HEADER:
    case SECOND_ZERO_BLOCK:
      if (filled > 0) throw invalid("the archive ends inside a header", offset);
      break;
    // As in Go, an archive may lack the padding of its last member.
    case PADDING:
    case TRAILER:
      break;
    case DATA:
      throw invalid(`the archive ends ${remaining} bytes short of a member's end`, offset);
    case EXTENSION:
    case SPARSE:
      throw invalid("the archive ends inside a member's headers", offset);
  }
}
