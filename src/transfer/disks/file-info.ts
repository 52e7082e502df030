/** What a disk's file is and takes, as the file system tells it. It may be in use: nothing is locked, written or synced. */
import { open } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { diskFormatOf, type DiskFormat } from "../../disk/import/disk-format.ts";
import { toVarveError } from "../../errors/from-system.ts";
import { dataExtents, tellsHoles } from "../../sys/sparse.ts";

export interface FileInfo {
  readonly path: string;
  /** What kind of disk it is, by its first bytes. */
  readonly format: DiskFormat;
  readonly logicalBytes: number;
  readonly allocatedBytes: number;
  /** In runs of data; what is set aside and not written may be in none. Null where the file system does not tell of holes. */
  readonly dataBytes: number | null;
  readonly holeBytes: number | null;
  /** Runs of data. */
  readonly extents: number | null;
}

/** A file may have millions. */
const RUNS_A_TURN = 2000;

/** @throws VarveError `FILE_NOT_FOUND`, `PERMISSION`, `IO`; the signal's reason */
export async function fileInfo(path: string, signal: AbortSignal): Promise<FileInfo> {
  const format = await diskFormatOf(path);
  try {
    await using file = await open(path, "r");
    const { size, blocks } = await file.stat();
    const known = { path, format, logicalBytes: size, allocatedBytes: blocks * 512 };
    if (!tellsHoles(file.fd)) return { ...known, dataBytes: null, holeBytes: null, extents: null };
    let [dataBytes, extents] = [0, 0];
    for (const { length } of dataExtents(file.fd, size)) {
      dataBytes += length;
      if (++extents % RUNS_A_TURN === 0) await turn();
      signal.throwIfAborted();
    }
    return { ...known, dataBytes, holeBytes: size - dataBytes, extents };
  } catch (error) {
    signal.throwIfAborted();
    throw toVarveError(error, `looking at ${path}`);
  }
}
