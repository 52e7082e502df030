/** Content that is at one place of a disk, put at another: blocks are shared where file system and places allow, the rest is read and written. */
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { VarveError } from "../../errors/varve-error.ts";
import { SHARED_BLOCK } from "../../sys/reflink-range.ts";
import type { DiskFile } from "./disk-file.ts";

const PIECE = 1 << 20;
/** Shared at once; between them the signal is looked at. */
const SHARED_PIECE = 256 << 20;

interface Place {
  readonly offset: number;
  readonly size: number;
}

/** @throws NodeJS.ErrnoException; VarveError `IO` when the source ends before; the signal's reason */
export async function copyContent(
  file: DiskFile,
  from: { readonly path: string; readonly offset: number },
  to: Place,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using source = await open(from.path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const end = to.offset + to.size;
  const shift = from.offset - to.offset;
  const first = Math.ceil(to.offset / SHARED_BLOCK) * SHARED_BLOCK;
  const last = Math.floor(end / SHARED_BLOCK) * SHARED_BLOCK;
  let shared = first;
  if (shift % SHARED_BLOCK === 0 && first < last) {
    while (shared < last) {
      signal?.throwIfAborted();
      const range = {
        descriptor: source.fd,
        start: shared + shift,
        length: Math.min(SHARED_PIECE, last - shared),
      };
      if (!(await file.share(shared, range))) break;
      shared += range.length;
    }
  }
  const rest = { source, path: from.path, shift, file, signal };
  // Awaited here, for the source is closed when this returns.
  if (shared === first) return await copyBytes(rest, to.offset, end);
  await copyBytes(rest, to.offset, first);
  await copyBytes(rest, shared, end);
}

interface Copying {
  readonly source: FileHandle;
  readonly path: string;
  /** From a position in the target to the one in the source. */
  readonly shift: number;
  readonly file: DiskFile;
  readonly signal: AbortSignal | undefined;
}

/** All of it is read, holes too, at the speed of memory: no file system has to be believed, and zeros become holes by being written. */
async function copyBytes({ source, path, shift, file, signal }: Copying, start: number, end: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(PIECE, Math.max(0, end - start)));
  for (let at = start; at < end;) {
    signal?.throwIfAborted();
    const length = Math.min(buffer.length, end - at);
    const { bytesRead } = await source.read(buffer, 0, length, at + shift);
    if (bytesRead === 0) throw new VarveError("IO", `${path} ends before byte ${end + shift}`);
    await file.write(buffer.subarray(0, bytesRead), at);
    at += bytesRead;
  }
}
