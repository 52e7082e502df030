/** A plan of what goes wrong during one pull, and what may come of it. */
import type { ErrorCode } from "../../../src/errors/table.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import type { Fault } from "../../kit/faults/fault.ts";
import type { FaultRule } from "../../kit/faults/fault-script.ts";
import type { PublishedImage } from "../lib/published-image.ts";

export interface Schedule {
  readonly title: string;
  readonly image: PublishedImage;
  /** What the store has before, got over a good line. Default: nothing. */
  readonly held?: PublishedImage;
  readonly rules: readonly FaultRule[];
  /** For rules with a probability. */
  readonly seed: number;
  readonly concurrency: number;
  /** Whether layers are inflated by threads, as the program does it, or by the caller's. */
  readonly threads: number;
  /** Whether the pull may end in the image. */
  readonly mayArrive: boolean;
  /** The errors that it may end in. */
  readonly codes: readonly ErrorCode[];
}

/**
 * Body bytes that a client has a right to fetch once more when this fault strikes. A bit that is wrong condemns the whole blob, for
 * nobody knows which it was; a host that ignores a range sends again what is there. Whatever else breaks costs what was under way.
 */
export function mayCost(fault: Fault, blobSize: number): number {
  switch (fault.kind) {
    case "flip":
    case "append":
    case "truncate":
    case "ignoreRange":
    case "contentRange":
    case "headers":
      return blobSize;
    case "status":
      // After a refused range the blob may have to come as one stream.
      return refusesRanges(fault) ? blobSize : 0;
    case "redirect":
    case "reset":
    case "garbage":
    case "loseAnswer":
    case "dropUpload":
    case "chunked":
    case "drop":
    case "stall":
    case "slow":
    case "latency":
      return 0;
  }
}

/** Whether a fault makes a client believe that ranges are not to be had: from then on whatever breaks the blob costs all that came of it. */
export function refusesRanges(fault: Fault): boolean {
  return fault.kind === "ignoreRange" || (fault.kind === "status" && [400, 416, 501].includes(fault.status));
}

/** Whether a fault makes bytes wrong, so that they are not kept. */
export function spoils({ kind }: Fault): boolean {
  return kind === "flip" || kind === "append" || kind === "truncate" || kind === "contentRange";
}

export function blobPath(digest: Digest): RegExp {
  return new RegExp(`/blobs/${digest}$`);
}
