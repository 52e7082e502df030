/**
 * Files as the bodies of responses: the way that every blob takes which is here already. What counts is the work for each gigabyte, that a
 * client who reads slowly or not at all costs next to no memory, and that a body which cannot be sent whole never looks as if it had been.
 */
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { sendDirectly } from "./direct-path.ts";
import { Outlet } from "./outlet.ts";
import { SendBuffers } from "./send-buffers.ts";
import { Turns } from "./turns.ts";

/** Bytes `[start, end)`. */
export interface SentRange {
  readonly start: number;
  readonly end: number;
}

/** With what one of them sends at once that is a megabyte each time around. */
const TURNS_EACH = 4;
/** What goes the usual way where most goes directly. */
const NUDGE_BYTES = 16 * 1024;

const buffers = new SendBuffers();
const turns = new Turns(TURNS_EACH);

/**
 * Sends a range of a file as the whole body of a response and ends it. The head is the caller's, with the range's length as Content-Length; it
 * goes out with the first bytes unless it went before.
 *
 * @param signal aborted when the client is gone or the daemon stops; the connection is broken then
 * @returns how many bytes went out; fewer than the range has when the client left or the signal was aborted
 * @throws VarveError `BLOB_UNKNOWN`, `PERMISSION`, `IO` when the file cannot be opened: nothing was sent, and the response can still say so;
 * `STORE_CORRUPT`, `IO` when it is shorter than the range or cannot be read: the connection is broken, so that nobody takes a part for the whole
 */
export async function sendFile(
  response: ServerResponse,
  { path, start, end }: SentRange & { readonly path: string },
  signal: AbortSignal,
): Promise<number> {
  await using file = await openToSend(path);
  const sent = await sendRange(response, file, { start, end }, signal);
  if (!response.destroyed) response.end();
  return sent;
}

/** @throws VarveError `BLOB_UNKNOWN`, `PERMISSION`, `IO` */
export async function openToSend(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw toVarveError(error, `sending ${path}`);
    throw new VarveError("BLOB_UNKNOWN", `there is no ${path}`, { cause: error, hint: "pull the image again" });
  }
}

/** As {@link sendFile} does with a file that is open, and the response goes on after it: for bodies of several ranges. */
export async function sendRange(
  response: ServerResponse,
  file: FileHandle,
  { start, end }: SentRange,
  signal: AbortSignal,
): Promise<number> {
  if (response.req.method === "HEAD") return 0;
  using outlet = new Outlet(response, signal);
  let position = start;
  try {
    // The first bytes go with the head.
    position += await copyChunk(outlet, file, { start, end: Math.min(end, start + NUDGE_BYTES) });
    while (position < end && !outlet.gone) {
      await turns.next();
      const direct = sendDirectly(response, file.fd, { start: position, end });
      if (direct === "not here") position += await copyChunk(outlet, file, { start: position, end });
      else if (direct > 0) position += direct;
      // That it was taken says that there is room again.
      else position += await copyChunk(outlet, file, { start: position, end: Math.min(end, position + NUDGE_BYTES) });
    }
  } catch (error) {
    response.destroy();
    throw toVarveError(error, "sending a file");
  }
  return position - start;
}

/** @returns how many bytes went out; none when the client is gone */
async function copyChunk(outlet: Outlet, file: FileHandle, { start, end }: SentRange): Promise<number> {
  if (start === end) return 0;
  const buffer = buffers.take(end - start);
  let written = false;
  try {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - start), start);
    if (bytesRead === 0) throw tooShort(start, end);
    written = await outlet.write(buffer.subarray(0, bytesRead));
    return written ? bytesRead : 0;
  } finally {
    if (written) buffers.give(buffer);
    else buffers.drop(buffer);
  }
}

function tooShort(position: number, end: number): VarveError {
  return new VarveError("STORE_CORRUPT", `a file ended at ${position} while ${end} bytes of it were being sent`, {
    hint: "something else changes the store's files; find out what, then pull the image again",
  });
}
