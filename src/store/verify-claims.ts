/**
 * Checks a journal's claims against the data file when an ingest is resumed. Each piece is read and summed again, one after
 * the other through one small buffer; pieces that do not hold are dropped and will be fetched again.
 */
import { timingSafeEqual } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { Piece } from "./journal-format.ts";
import { PieceSum } from "./piece-sum.ts";
import type { ByteRange } from "./types.ts";

const BUFFER_BYTES = 1024 * 1024;
const ZEROS = new Uint8Array(BUFFER_BYTES);

export interface ClaimCheck {
  readonly key: Uint8Array;
  readonly size: number;
  readonly signal?: AbortSignal;
}

/** The pieces that hold. Claims that add up to more than twice the blob's size are beyond what any honest journal has. */
export async function verifyClaims(file: FileHandle, pieces: readonly Piece[], check: ClaimCheck): Promise<Piece[]> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  const good: Piece[] = [];
  let claimed = 0;
  for (const piece of pieces) {
    check.signal?.throwIfAborted();
    claimed += piece.end - piece.start;
    if (claimed > check.size * 2) break;
    if (await holds(file, piece, check.key, buffer)) good.push(piece);
  }
  return good;
}

/** The sum of bytes that are in the file; undefined when the file ends before them. */
export async function sumOf(file: FileHandle, range: ByteRange, key: Uint8Array): Promise<Uint8Array | undefined> {
  const sum = new PieceSum(key);
  const whole = await eachChunk(
    file,
    range,
    new Uint8Array(Math.min(BUFFER_BYTES, range.end - range.start)),
    (chunk) => {
      sum.update(chunk);
      return true;
    },
  );
  return whole ? sum.digest() : undefined;
}

async function holds(file: FileHandle, piece: Piece, key: Uint8Array, buffer: Uint8Array): Promise<boolean> {
  if (piece.sum === undefined) {
    return eachChunk(file, piece, buffer, (chunk) => Buffer.compare(chunk, ZEROS.subarray(0, chunk.length)) === 0);
  }
  const sum = new PieceSum(key);
  const whole = await eachChunk(file, piece, buffer, (chunk) => {
    sum.update(chunk);
    return true;
  });
  return whole && timingSafeEqual(sum.digest(), piece.sum);
}

/** Feeds the range through `buffer`; false as soon as `see` says so or the file ends early. */
async function eachChunk(
  file: FileHandle,
  range: ByteRange,
  buffer: Uint8Array,
  see: (chunk: Uint8Array) => boolean,
): Promise<boolean> {
  for (let position = range.start; position < range.end;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, range.end - position), position);
    if (bytesRead === 0 || !see(buffer.subarray(0, bytesRead))) return false;
    position += bytesRead;
  }
  return true;
}
