/** Reading blobs that are whole. What lies under a digest's name is a regular file or it is nothing of ours. */
import { constants } from "node:fs";
import { lstat, open, type FileHandle } from "node:fs/promises";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import { Digester, digestAlgorithm, type Digest } from "../oci/digest.ts";
import type { ContentInfo, ReadOptions } from "./types.ts";

export const CHUNK_BYTES = 1024 * 1024;

/** @returns undefined when there is no such file. @throws VarveError `STORE_CORRUPT` when it is no regular file */
export async function statBlob(path: string, digest: Digest): Promise<ContentInfo | undefined> {
  try {
    const found = await lstat(path);
    if (found.isFile()) return { digest, size: found.size, path };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw toVarveError(error, `looking for ${digest}`);
  }
  throw new VarveError("STORE_CORRUPT", `${path} is not a regular file`, {
    hint: "remove it and pull the image again",
  });
}

/** Chunks of 1 MiB (the last may be shorter) that belong to the consumer; each is a buffer of its own. */
export async function* readBlob(path: string, digest: Digest, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
  await using file = await openBlob(path, digest);
  const { size } = await file.stat();
  const { start = 0, end = size, signal } = options;
  if (!(start >= 0 && start <= end && end <= size)) {
    throw new VarveError("SIZE_MISMATCH", `blob ${digest} has ${size} bytes; bytes ${start}-${end} were asked for`);
  }
  for (let position = start; position < end;) {
    if (signal?.aborted === true) throw toVarveError(signal.reason, `reading ${digest}`);
    const chunk = await readChunk(file, digest, position, Math.min(CHUNK_BYTES, end - position));
    position += chunk.length;
    yield chunk;
  }
}

/** The digest of what the file holds now. */
export async function hashBlob(path: string, digest: Digest, signal?: AbortSignal): Promise<Digest> {
  const digester = new Digester(digestAlgorithm(digest));
  for await (const chunk of readBlob(path, digest, signal === undefined ? {} : { signal })) digester.update(chunk);
  return digester.digest();
}

async function readChunk(file: FileHandle, digest: Digest, position: number, length: number): Promise<Uint8Array> {
  const chunk = new Uint8Array(length);
  let bytesRead: number;
  try {
    ({ bytesRead } = await file.read(chunk, 0, length, position));
  } catch (error) {
    throw toVarveError(error, `reading ${digest}`);
  }
  if (bytesRead > 0) return chunk.subarray(0, bytesRead);
  throw new VarveError("STORE_CORRUPT", `blob ${digest} became shorter while it was read`, {
    hint: "something else changes the store's files; find out what, then pull the image again",
  });
}

async function openBlob(path: string, digest: Digest): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw toVarveError(error, `reading ${digest}`);
    throw new VarveError("BLOB_UNKNOWN", `the store has no blob ${digest}`, { hint: "pull the image again" });
  }
}
