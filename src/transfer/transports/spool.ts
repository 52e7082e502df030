/** A temporary file without a name: gone with the process, however that ends. */
import { randomUUID } from "node:crypto";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";

/** For reading and writing, in `TMPDIR`. @throws VarveError `NO_SPACE`, `PERMISSION`, `IO` */
export async function openSpool(): Promise<FileHandle> {
  const path = join(tmpdir(), `varve-${randomUUID()}`);
  try {
    const file = await open(path, "wx+", 0o600);
    await unlink(path);
    return file;
  } catch (error) {
    throw toVarveError(error, "making a temporary file (TMPDIR says where)");
  }
}

/** Writes a stream at a position. @returns the position after it */
export async function writeStream(
  file: FileHandle,
  bytes: AsyncIterable<Uint8Array>,
  position: number,
): Promise<number> {
  let at = position;
  for await (const chunk of bytes) {
    await writeAll(file, chunk, at);
    at += chunk.length;
  }
  return at;
}

export async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
