/**
 * The chunk index of disks of virtual machines: for each chunk of a disk one small document of its own that says which pieces its content is
 * made of, and where the blocks of each lie in the chunk's blob. Who lacks a chunk gets only the pieces that it has not.
 *
 *     header    8 bytes that say what it is, and its version (the last of them)
 *               sha256 of the chunk's blob, 32 bytes; bytes of the blob
 *               sha256 of what the blob decodes to, 32 bytes; bytes of that
 *               pieces
 *     piece     its bytes times two, plus one for zeros; bytes of its blocks; where it is not zeros its sha256, 32 bytes
 *
 * All numbers are unsigned LEB128, as short as can be. Pieces follow each other in the content and in the blob, from the first byte of both; behind
 * the last is the end of the stream (formats "tart" §3). No block of a piece refers to what is before it. A run of zeros is one piece, and nobody
 * need fetch it. So the same chunk has the same index, and no number in it is free.
 */

/** `varvedi`, and the version. */
export const MAGIC: Uint8Array = Buffer.from("varvedi\u0001", "latin1");
export const DIGEST_BYTES = 32;

/** What file systems move content by: pieces begin at multiples of it, counted from the start of the disk. */
export const UNIT_BYTES = 4096;
/** A piece that is not zeros has as many at most, so that any can be held in memory, hashed and dropped. */
export const MOST_PIECE_BYTES = 1 << 20;

/** Bytes of a piece in the document: two numbers of at most 32 bits where it is not zeros. */
const PIECE_BYTES = 45;
const HEADER_BYTES = 128;
/** Of one index, whatever the chunk is. */
export const MOST_INDEX_BYTES = 32 << 20;
export const MOST_PIECES = 1 << 20;

/** The most bytes that an index of a chunk of so many bytes may have: every unit of it a piece. */
export function largestIndex(contentBytes: number): number {
  return Math.min(MOST_INDEX_BYTES, HEADER_BYTES + PIECE_BYTES * (Math.ceil(contentBytes / UNIT_BYTES) + 2));
}
