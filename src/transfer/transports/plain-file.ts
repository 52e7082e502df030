/** Reading files that others wrote: regular ones only, in chunks that belong to the consumer. */
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";

const CHUNK_BYTES = 1024 * 1024;

/**
 * Opens for reading without waiting for the writer of a FIFO.
 *
 * @throws VarveError `FILE_NOT_FOUND`, `PERMISSION`, `IO`
 */
export async function openToRead(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw toVarveError(error, "reading");
  }
}

/** All of a small file. @throws VarveError `ARCHIVE_INVALID` when it is no regular file or passes `limit` bytes */
export async function readSmallFile(path: string, limit: number): Promise<Buffer> {
  await using file = await openToRead(path);
  const stat = await file.stat();
  if (!stat.isFile()) throw new VarveError("ARCHIVE_INVALID", `${path} is not a regular file`);
  if (stat.size > limit) throw new VarveError("ARCHIVE_INVALID", `${path} has ${stat.size} bytes, more than ${limit}`);
  const bytes = Buffer.alloc(stat.size);
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/** The bytes from `start` up to `end` (exclusive), or up to the file's end if that comes before. */
export async function* readRange(
  file: FileHandle,
  start: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = start;
  while (at < end) {
    signal?.throwIfAborted();
    const length = Math.min(CHUNK_BYTES, end - at);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(length), 0, length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
