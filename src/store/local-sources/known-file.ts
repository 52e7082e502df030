/**
 * Digests that are known of what a layer holds, `sources.known` in the layer's folder: of files, of chunks of files. It counts in one index
 * (index-format.ts) and is nothing without that. A row that is wrong costs a fetch, for who uses a place hashes what is there.
 *
 *     header   8 words: magic, version, rows, identity of the index, checksum of the rows, twice 0, checksum of these
 *     rows     of twelve words (rows.ts), sorted
 *
 * A row of size 0 says how the file that begins there was cut into chunks, so that it is not cut again: word 4 has the bytes of each chunk,
 * 0 where content says where (formats zstd-chunked 1.4), 1 where it does as for disks (codec/disk-index).
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { bytesOf, wordsOf } from "./index-format.ts";
import { compareKey, KEY_WORDS, KNOWN_WORDS, lowerBound, refAt, releaseWords, Rows, sizeAt, startAt } from "./rows.ts";

/** Bytes of chunks that are cut as those of disks are. */
export const DISK_CUT = 1;
export const KNOWN_FILE = "sources.known";
/** More rows are not kept, the largest pieces are: with 48 bytes each they are in memory while a layer is looked at. */
export const MAX_KNOWN = 600_000;

const HEADER_WORDS = 8;
const MAGIC = 0x31_4b_53_56;
const VERSION = 1;
const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_RDONLY } = constants;

export class Known implements Disposable {
  /** Sorted. */
  #rows: Uint32Array;
  #added = new Rows(KNOWN_WORDS);

  constructor(rows: Uint32Array = new Uint32Array()) {
    this.#rows = rows;
  }

  /** Rows, without those added. */
  get rows(): Uint32Array {
    return this.#rows;
  }

  /** How many were added. */
  get added(): number {
    return this.#added.length;
  }

  add(size: number, ref: number, start: number, digest: Uint8Array): void {
    const at = this.#added.add(size, ref, start);
    for (let byte = 0; byte < 32; byte += 4) scratchBytes.set(digest.subarray(byte, byte + 4), byte);
    this.#added.setAll(at + KEY_WORDS, scratch);
  }

  /** Says that the file which begins there was cut into chunks of so many bytes, 0 where its content says. */
  addCut(ref: number, start: number, chunkBytes: number): void {
    const at = this.#added.add(0, ref, start);
    scratch.fill(0);
    scratch[0] = chunkBytes;
    this.#added.setAll(at + KEY_WORDS, scratch);
  }

  /** Whether the digest of these bytes is known; of those added only after {@link merge}. */
  has(size: number, ref: number, start: number): boolean {
    return this.#find(size, ref, start) >= 0;
  }

  /** How the file was cut; undefined when it was not. */
  cutOf(ref: number, start: number): number | undefined {
    const at = this.#find(0, ref, start);
    return at < 0 ? undefined : this.#rows[at + KEY_WORDS];
  }

  /** Puts what another has added among these. */
  adopt(other: Known): void {
    const rows = other.#added.words;
    for (let at = 0; at < rows.length; at += KNOWN_WORDS) {
      this.#added.setAll(this.#added.add(0, 0, 0), rows.subarray(at, at + KNOWN_WORDS));
    }
    this.merge();
  }

  /** Puts those added among the others; a later row takes the place of an earlier one. */
  merge(): void {
    if (this.#added.length === 0) return;
    using all = new Rows(KNOWN_WORDS, this.#rows.length / KNOWN_WORDS + this.#added.length);
    for (const rows of [this.#rows, this.#added.words]) {
      for (let at = 0; at < rows.length; at += KNOWN_WORDS) {
        all.setAll(all.add(0, 0, 0), rows.subarray(at, at + KNOWN_WORDS));
      }
    }
    this[Symbol.dispose]();
    this.#added = new Rows(KNOWN_WORDS);
    this.#rows = withoutDoubles(all.sorted()).subarray(-MAX_KNOWN * KNOWN_WORDS);
  }

  /** Takes out all that is said of what begins there. @returns whether there was anything */
  forget(ref: number, start: number): boolean {
    const kept: number[] = [];
    for (let at = 0; at < this.#rows.length; at += KNOWN_WORDS) {
      const isMeant = refAt(this.#rows, at) === ref && startAt(this.#rows, at) === start && sizeAt(this.#rows, at) > 0;
      if (!isMeant) kept.push(at);
    }
    const isChanged = kept.length * KNOWN_WORDS !== this.#rows.length;
    const rows = new Uint32Array(kept.length * KNOWN_WORDS);
    for (const [row, at] of kept.entries()) rows.set(this.#rows.subarray(at, at + KNOWN_WORDS), row * KNOWN_WORDS);
    this.#rows = rows;
    return isChanged;
  }

  [Symbol.dispose](): void {
    releaseWords(this.#rows);
    this.#added[Symbol.dispose]();
    this.#rows = new Uint32Array();
  }

  #find(size: number, ref: number, start: number): number {
    const at = lowerBound(this.#rows, KNOWN_WORDS, { size, ref, start }) * KNOWN_WORDS;
    return at < this.#rows.length && compareKey(this.#rows, at, size, ref, start) === 0 ? at : -1;
  }
}

const scratch = new Uint32Array(KNOWN_WORDS - KEY_WORDS);
const scratchBytes = new Uint8Array(scratch.buffer);

/** @param indexId of the index that it must count in @returns nothing known where there is none, or none that can be used */
export function readKnown(path: string, indexId: number): Known {
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW);
  } catch {
    return new Known();
  }
  try {
    const header = wordsOf(read(fd, 0, HEADER_WORDS * 4));
    const [magic, version, count = 0, id, sum] = header;
    const isOurs = magic === MAGIC && version === VERSION && id === indexId && count <= MAX_KNOWN;
    if (!isOurs || header[HEADER_WORDS - 1] !== crc32(bytesOf(header.subarray(0, -1)))) return new Known();
    const bytes = read(fd, HEADER_WORDS * 4, count * KNOWN_WORDS * 4);
    return crc32(bytes) === sum && bytes.length === count * KNOWN_WORDS * 4 ? new Known(wordsOf(bytes)) : new Known();
  } catch {
    return new Known();
  } finally {
    closeSync(fd);
  }
}

/** Puts what is known in the place of what the file says. @throws NodeJS.ErrnoException */
export async function writeKnown(path: string, indexId: number, { rows }: Known): Promise<void> {
  const header = new Uint32Array(HEADER_WORDS);
  const bytes = bytesOf(rows);
  header.set([MAGIC, VERSION, rows.length / KNOWN_WORDS, indexId, crc32(bytes)]);
  header[HEADER_WORDS - 1] = crc32(bytesOf(header.subarray(0, -1)));
  const temporary = `${path}.new`;
  try {
    await using file = await open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o644);
    await file.writeFile(bytesOf(header));
    await file.writeFile(bytes);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Of rows with one key the last. */
function withoutDoubles(rows: Uint32Array): Uint32Array {
  let end = 0;
  for (let at = 0; at < rows.length; at += KNOWN_WORDS) {
    const next = at + KNOWN_WORDS;
    const isDouble =
      next < rows.length && compareKey(rows, at, sizeAt(rows, next), refAt(rows, next), startAt(rows, next)) === 0;
    if (isDouble) continue;
    rows.copyWithin(end, at, next);
    end += KNOWN_WORDS;
  }
  return rows.subarray(0, end);
}

function read(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = readSync(fd, bytes, done, length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
