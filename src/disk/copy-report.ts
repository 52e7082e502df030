/** What a copy came to. Every byte of the length is one of: copied, reflinked, unchanged, hole. */
import { formatBytes } from "../errors/amounts.ts";
import type { CopyJob } from "./copy.ts";
import type { Filled } from "./fill.ts";

export interface DiskCopy {
  readonly source: string;
  readonly target: string;
  /** The length of the file. */
  readonly logicalBytes: number;
  /** What the source takes on its disk. */
  readonly sourceAllocatedBytes: number;
  /** What the copy takes on its disk; null of a block device. */
  readonly allocatedBytes: number | null;
  /** Written; zeros too, where they had to be. */
  readonly copiedBytes: number;
  /** Shared with the source. */
  readonly reflinkedBytes: number;
  /** There already, of a target that was updated in place. */
  readonly unchangedBytes: number;
  /** Not written, because they are zeros. */
  readonly holeBytes: number;
  /** How holes were found: the file system told them, or all was read; null when the copy was to have none. */
  readonly holesBy: "map" | "search" | null;
  /** Whether it was read back and compared. */
  readonly verified: boolean;
  readonly durationMs: number;
  /** Why it takes more than its data, and the like. */
  readonly warnings: readonly string[];
}

export function reportOf(job: CopyJob, filled: Filled, durationMs: number): DiskCopy {
  const { source, path, options } = job;
  const { counts, isShared, isSearched, allocatedBytes = null } = filled;
  return {
    source: source.path,
    target: path,
    logicalBytes: source.size,
    sourceAllocatedBytes: source.allocatedBytes,
    allocatedBytes,
    copiedBytes: counts.written,
    reflinkedBytes: isShared ? counts.unchanged : 0,
    unchangedBytes: isShared ? 0 : counts.unchanged,
    holeBytes: counts.holes,
    holesBy: options.sparse === "never" ? null : isSearched ? "search" : "map",
    verified: options.verify,
    durationMs: Math.round(durationMs),
    warnings: warningsOf(job, filled),
  };
}

function warningsOf({ path, options }: CopyJob, { counts, allocatedBytes, bytesBehind, isShared }: Filled): string[] {
  const warnings: string[] = [];
  const data = counts.written + counts.unchanged - counts.dense;
  if (counts.dense > 0) {
    warnings.push(`no holes could be made in ${path}: ${formatBytes(counts.dense)} of zeros take space in it`);
  } else if (
    options.sparse !== "never" &&
    !isShared &&
    allocatedBytes !== undefined &&
    allocatedBytes > allowed(data)
  ) {
    warnings.push(
      `${path} takes ${formatBytes(allocatedBytes)} for ${formatBytes(data)} of data: its file system keeps no holes, or only large ones`,
    );
  }
  if (bytesBehind > 0) warnings.push(`${formatBytes(bytesBehind)} of ${path} behind the copy are what they were`);
  return warnings;
}

/** Data, rounded up to blocks, and what the file system keeps of where it is. */
function allowed(data: number): number {
  return data + data / 50 + (1 << 20);
}
