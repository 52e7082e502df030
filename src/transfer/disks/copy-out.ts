/** Disks that leave the store, or a machine's directory, for one that is made: how each is copied, and what all of them come to. */
import type { DiskCopy } from "../../disk/copy-report.ts";
import { copyDisk } from "../../disk/copy.ts";
import type { TransferContext } from "../context.ts";

export interface CopyOutOptions {
  /** Whether the disks are read back and compared with where they come from. Default false. */
  readonly verify?: boolean;
  /** Whether disks may share blocks with where they come from. Default true. */
  readonly reflink?: boolean;
}

export interface CopiedDisks {
  readonly disks: readonly DiskCopy[];
  /** What they are long. */
  readonly logicalBytes: number;
  /** What they take. Null of a block device. */
  readonly allocatedBytes: number | null;
  /** Shared with where they come from. */
  readonly reflinkedBytes: number;
  readonly verified: boolean;
  readonly warnings: readonly string[];
}

export interface CopyOutTarget {
  /** Where it is made. */
  readonly path: string;
  /** Where it will be, as people are told. */
  readonly shown: string;
}

/** The copy can be written, whatever it comes from. @throws VarveError as `copyDisk`; the signal's reason */
export async function copyOut(
  { signal, onProgress }: Pick<TransferContext, "signal" | "onProgress">,
  from: string,
  { path, shown }: CopyOutTarget,
  { verify = false, reflink = true }: CopyOutOptions,
): Promise<DiskCopy> {
  const copied = await copyDisk(from, path, {
    verify,
    reflink,
    mode: 0o666,
    signal,
    onProgress: (event) => onProgress(event.type === "disk" ? { ...event, path: shown } : event),
  });
  return { ...copied, target: shown, warnings: copied.warnings.map((text) => text.replaceAll(path, shown)) };
}

export function totalOf(disks: readonly DiskCopy[]): CopiedDisks {
  const sum = (of: (disk: DiskCopy) => number): number => disks.reduce((total, disk) => total + of(disk), 0);
  const isDevice = disks.some(({ allocatedBytes }) => allocatedBytes === null);
  return {
    disks,
    logicalBytes: sum(({ logicalBytes }) => logicalBytes),
    allocatedBytes: isDevice ? null : sum(({ allocatedBytes }) => allocatedBytes ?? 0),
    reflinkedBytes: sum(({ reflinkedBytes }) => reflinkedBytes),
    verified: disks.every(({ verified }) => verified),
    warnings: disks.flatMap(({ warnings }) => warnings),
  };
}
