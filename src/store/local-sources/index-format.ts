/**
 * The form of the index over one layer's files, `sources.files` in the layer's folder. It is derived from the layer, so a damaged one, or one of
 * another version or byte order, is simply made again.
 *
 *     header     16 words: magic, version, segments, where the table is (2), its checksum, 9 times 0, checksum of these
 *     segments   each of at most half a million files: names (of trees only), then rows (rows.ts), sorted
 *     table      7 words for each segment: where its rows are (2), how many, their checksum; where its names are (2), their bytes
 *
 * A name is four bytes that say where the name of its directory is (0: the root), one with its length, and its bytes; it comes after that of its
 * directory. Checksums are CRC-32. The table's checksum is the index's identity: what is known of digests says which index it counts in.
 */
import { crc32 } from "node:zlib";
import { VarveError } from "../../errors/varve-error.ts";

export const INDEX_FILE = "sources.files";
export const HEADER_WORDS = 16;
export const HEADER_BYTES = HEADER_WORDS * 4;
export const TABLE_WORDS = 7;
/** Files of a segment, which is held in memory as one: 12 MiB. */
export const SEGMENT_ROWS = 1 << 19;
export const MAX_SEGMENTS = 256;
export const NAME_HEAD_BYTES = 5;
/** Where a name is has 32 bits. */
export const MAX_NAMES_END = 0xffff_ffff;
/** Read by a machine of the other byte order it is another number. */
export const MAGIC = 0x31_46_53_56;
export const VERSION = 1;

const LOW = 0x1_0000_0000;

export interface Segment {
  /** Where its rows begin in the file. */
  readonly rowsAt: number;
  /** Of them. */
  readonly rows: number;
  readonly rowsSum: number;
  readonly namesAt: number;
  readonly namesBytes: number;
}

export function bytesOf(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}

/** Whole words of a buffer, copied where they do not lie as words must. */
export function wordsOf(bytes: Buffer): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Buffer.from(Uint8Array.from(bytes).buffer);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >>> 2);
}

export function tableOf(segments: readonly Segment[]): Uint32Array {
  const table = new Uint32Array(segments.length * TABLE_WORDS);
  for (const [at, { rowsAt, rows, rowsSum, namesAt, namesBytes }] of segments.entries()) {
    const words = [...split(rowsAt), rows, rowsSum, ...split(namesAt), namesBytes];
    table.set(words, at * TABLE_WORDS);
  }
  return table;
}

export function headerOf(table: Uint32Array, tableAt: number): Uint32Array {
  const header = new Uint32Array(HEADER_WORDS);
  header.set([MAGIC, VERSION, table.length / TABLE_WORDS, ...split(tableAt), crc32(bytesOf(table))]);
  header[HEADER_WORDS - 1] = crc32(bytesOf(header.subarray(0, -1)));
  return header;
}

/** @throws INDEX_INVALID */
export function readHeader(header: Uint32Array): {
  readonly segments: number;
  readonly tableAt: number;
  readonly id: number;
} {
  const [magic, version, segments = 0, low = 0, high = 0, id = 0] = header;
  if (magic !== MAGIC || version !== VERSION || segments > MAX_SEGMENTS) throw damaged("it is of another kind");
  if (header[HEADER_WORDS - 1] !== crc32(bytesOf(header.subarray(0, -1)))) throw damaged("its head is damaged");
  return { segments, tableAt: high * LOW + low, id };
}

/** @throws INDEX_INVALID */
export function readTable(table: Uint32Array, id: number, tableAt: number): Segment[] {
  if (crc32(bytesOf(table)) !== id) throw damaged("its table is damaged");
  return Array.from({ length: table.length / TABLE_WORDS }, (_, number) => {
    const [low = 0, high = 0, rows = 0, rowsSum = 0, namesLow = 0, namesHigh = 0, namesBytes = 0] = table.subarray(
      number * TABLE_WORDS,
      (number + 1) * TABLE_WORDS,
    );
    const segment = {
      rowsAt: high * LOW + low,
      rows,
      rowsSum,
      namesAt: namesHigh * LOW + namesLow,
      namesBytes,
    };
    if (rows > SEGMENT_ROWS || segment.rowsAt > tableAt) throw damaged("its table makes no sense");
    return segment;
  });
}

export function damaged(how: string): VarveError {
  return new VarveError("INDEX_INVALID", `the index of what is held cannot be used: ${how}`);
}

function split(value: number): [number, number] {
  return [value % LOW, Math.floor(value / LOW)];
}
