/** The index of one chunk of a disk, to its document and back (format.ts). A document is an attacker's: nothing is taken that could stand there otherwise. */
import { VarveError } from "../../errors/varve-error.ts";
import { digestHex, type Digest } from "../../oci/digest.ts";
import { MAGIC_BYTES } from "../apple-lz4/format.ts";
import { ChunkPieces } from "./chunk-pieces.ts";
import { DIGEST_BYTES, MAGIC, MOST_INDEX_BYTES, MOST_PIECE_BYTES, MOST_PIECES } from "./format.ts";

/** Of sha256. */
interface Facts {
  readonly digest: Digest;
  readonly size: number;
}

export interface ChunkIndex {
  readonly blob: Facts;
  /** What the blob decodes to. */
  readonly content: Facts;
  readonly pieces: ChunkPieces;
}

/** The document's bytes. */
export function writeChunkIndex({ blob, content, pieces }: ChunkIndex): Buffer {
  const parts: Uint8Array[] = [MAGIC];
  for (const { digest, size } of [blob, content]) parts.push(Buffer.from(digestHex(digest), "hex"), leb(size));
  parts.push(leb(pieces.length));
  for (let piece = 0; piece < pieces.length; piece++) {
    const digest = pieces.digestBytes(piece);
    parts.push(leb(pieces.size(piece) * 2 + (digest === undefined ? 1 : 0)));
    parts.push(leb(pieces.end(piece) - pieces.offset(piece)));
    if (digest !== undefined) parts.push(digest);
  }
  return Buffer.concat(parts);
}

/** What the index must be of. */
export interface ExpectedIndex extends Pick<ChunkIndex, "blob" | "content"> {
  /** Asked before any piece is read: whether there is memory for so many. Default: for a chunk's of any size. */
  readonly reserve?: (pieces: number) => boolean;
}

/**
 * Reads a document that comes piece by piece; memory is that of the pieces.
 * @throws VarveError `TOC_INVALID`, also where it is the index of another chunk; `TOC_LIMIT`; the source's own errors as they are
 */
export async function readChunkIndex(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  expected: ExpectedIndex,
): Promise<ChunkPieces> {
  const reader = new ChunkIndexReader(expected);
  for await (const bytes of source) reader.write(bytes);
  return reader.end();
}

/** The longest thing that must be here as a whole: the header. */
const LOOKAHEAD = 128;

class ChunkIndexReader {
  readonly #expected: ExpectedIndex;
  readonly #pieces = new ChunkPieces();
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #taken = 0;
  #left: number | undefined;
  #afterZeros = false;

  constructor(expected: ExpectedIndex) {
    this.#expected = expected;
  }

  write(bytes: Uint8Array): void {
    this.#taken += bytes.length;
    if (this.#taken > MOST_INDEX_BYTES) throw limit(`has more than ${MOST_INDEX_BYTES} bytes`);
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), bytes]);
    this.#at = 0;
    this.#parse(LOOKAHEAD);
  }

  end(): ChunkPieces {
    this.#parse(1);
    if (this.#left !== 0) throw invalid("is cut short");
    const { blob, content } = this.#expected;
    const pieces = this.#pieces;
    if (pieces.contentBytes !== content.size) throw invalid(`has pieces of ${pieces.contentBytes} bytes`);
    if (pieces.blobBytes + MAGIC_BYTES !== blob.size) throw invalid(`has blocks of ${pieces.blobBytes} bytes`);
    return pieces;
  }

  /** @param enough bytes that must be here for whatever comes next */
  #parse(enough: number): void {
    while (this.#left !== 0 && this.#bytes.length - this.#at >= enough) {
      if (this.#left === undefined) this.#readHeader();
      else this.#readPiece(this.#left);
    }
    if (this.#left === 0 && this.#at < this.#bytes.length) throw invalid("goes on behind its end");
  }

  #readHeader(): void {
    if (!this.#take(MAGIC.length).equals(MAGIC)) throw invalid("is none, or of another version");
    const { blob, content } = this.#expected;
    for (const [what, { digest, size }] of [["blob", blob] as const, ["content", content] as const]) {
      const isIt = `sha256:${this.#take(DIGEST_BYTES).toString("hex")}` === digest;
      if (this.#number() !== size || !isIt) throw invalid(`is that of another ${what}`);
    }
    const count = this.#number();
    const { reserve } = this.#expected;
    if (count > MOST_PIECES || reserve?.(count) === false) throw limit(`has ${count} pieces`);
    this.#left = count;
  }

  #readPiece(left: number): void {
    const head = this.#number();
    const size = Math.floor(head / 2);
    const isZeros = head % 2 === 1;
    const blobBytes = this.#number();
    if (size === 0 || blobBytes === 0) throw invalid("has pieces of nothing");
    if (isZeros ? this.#afterZeros : size > MOST_PIECE_BYTES) throw invalid("has pieces that nobody makes");
    const { blob, content } = this.#expected;
    const { contentBytes: before, blobBytes: blobBefore } = this.#pieces;
    if (size > content.size - before || blobBytes > blob.size - blobBefore) throw invalid("has more than its chunk");
    this.#pieces.push(size, blobBytes, isZeros ? undefined : this.#take(DIGEST_BYTES));
    this.#afterZeros = isZeros;
    this.#left = left - 1;
  }

  #take(length: number): Buffer {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw invalid("is cut short");
    this.#at += length;
    return bytes;
  }

  #number(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#take(1)[0]!;
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw invalid("has absurd numbers");
      if (byte >= 0x80) continue;
      if (byte === 0 && scale > 1) throw invalid("has numbers that are longer than they need be");
      return value;
    }
  }
}

function leb(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function invalid(what: string): VarveError {
  return new VarveError("TOC_INVALID", `the index of a chunk of a disk ${what}`);
}

function limit(what: string): VarveError {
  return new VarveError("TOC_LIMIT", `the index of a chunk of a disk ${what}`);
}
