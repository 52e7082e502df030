/**
 * The bytes of an ingest's journal: a header and records, each framed as u32 length, u32 crc32 of the payload, payload;
 * little endian. Zeros follow the last record (space kept for later ones). Whatever does not read as a whole record ends
 * the journal there: a torn tail costs the records after it, never the journal.
 */
import { crc32 } from "node:zlib";
import { isDigest, type Digest } from "../oci/digest.ts";
import { PIECE_KEY_BYTES, PIECE_SUM_BYTES } from "./piece-sum.ts";

const VERSION = 1;
const FRAME_BYTES = 8;
const MAX_PAYLOAD_BYTES = 1024;
const KIND_DATA = 1;
const KIND_ZEROS = 2;
const ZEROS_BYTES = 17;
const DATA_BYTES = ZEROS_BYTES + PIECE_SUM_BYTES;

/** The most bytes that one data piece may have: what is lost to one bad byte, and the most that is read to check one. */
export const MAX_PIECE_BYTES = 4 * 1024 * 1024;

export interface JournalHeader {
  readonly digest: Digest;
  readonly size: number;
  /** For {@link PieceSum}. */
  readonly key: Uint8Array;
}

/** A claim: these bytes are in the data file, durably. A piece without a sum is a run of zeros. */
export interface Piece {
  readonly start: number;
  readonly end: number;
  readonly sum?: Uint8Array;
}

export interface ParsedJournal {
  readonly header: JournalHeader;
  readonly pieces: readonly Piece[];
}

export function encodeHeader(header: JournalHeader): Uint8Array {
  const key = Buffer.from(header.key).toString("hex");
  return frame(Buffer.from(JSON.stringify({ version: VERSION, digest: header.digest, size: header.size, key })));
}

export function encodePiece(piece: Piece): Uint8Array {
  const payload = Buffer.alloc(piece.sum === undefined ? ZEROS_BYTES : DATA_BYTES);
  payload[0] = piece.sum === undefined ? KIND_ZEROS : KIND_DATA;
  payload.writeBigUInt64LE(BigInt(piece.start), 1);
  payload.writeBigUInt64LE(BigInt(piece.end), 9);
  if (piece.sum !== undefined) payload.set(piece.sum, ZEROS_BYTES);
  return frame(payload);
}

/** What the journal says, up to its first bad record; undefined when not even its header can be read. */
export function parseJournal(bytes: Uint8Array): ParsedJournal | undefined {
  const payloads = frames(bytes);
  const first = payloads.next();
  const header = first.done === true ? undefined : parseHeader(first.value);
  if (header === undefined) return undefined;
  const pieces: Piece[] = [];
  for (const payload of payloads) {
    const piece = parsePiece(payload, header.size);
    if (piece === undefined) break;
    pieces.push(piece);
  }
  return { header, pieces };
}

function frame(payload: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(FRAME_BYTES + payload.length);
  bytes.writeUInt32LE(payload.length, 0);
  bytes.writeUInt32LE(crc32(payload), 4);
  bytes.set(payload, FRAME_BYTES);
  return bytes;
}

function* frames(bytes: Uint8Array): Generator<Buffer> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 0; offset + FRAME_BYTES <= buffer.length;) {
    const length = buffer.readUInt32LE(offset);
    const end = offset + FRAME_BYTES + length;
    if (length === 0 || length > MAX_PAYLOAD_BYTES || end > buffer.length) return;
    const payload = buffer.subarray(offset + FRAME_BYTES, end);
    if (crc32(payload) !== buffer.readUInt32LE(offset + 4)) return;
    yield payload;
    offset = end;
  }
}

function parseHeader(payload: Buffer): JournalHeader | undefined {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString("utf8"));
  } catch {
    return undefined;
  }
  const { version, digest, size, key } = (value ?? {}) as Record<"version" | "digest" | "size" | "key", unknown>;
  if (version !== VERSION || !isDigest(digest) || !Number.isSafeInteger(size) || typeof key !== "string")
    return undefined;
  const keyBytes = Buffer.from(key, "hex");
  return keyBytes.length === PIECE_KEY_BYTES ? { digest, size: size as number, key: keyBytes } : undefined;
}

function parsePiece(payload: Buffer, size: number): Piece | undefined {
  const expected = payload[0] === KIND_DATA ? DATA_BYTES : payload[0] === KIND_ZEROS ? ZEROS_BYTES : undefined;
  if (payload.length !== expected) return undefined;
  const start = Number(payload.readBigUInt64LE(1));
  const end = Number(payload.readBigUInt64LE(9));
  if (start >= end || end > size) return undefined;
  if (expected === ZEROS_BYTES) return { start, end };
  if (end - start > MAX_PIECE_BYTES) return undefined;
  return { start, end, sum: Uint8Array.from(payload.subarray(ZEROS_BYTES)) };
}
