/** Writes the index over one layer's files (index-format.ts). Memory is what a segment takes, however many files there are. */
import { constants } from "node:fs";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { encodeName } from "../../sys/path-bytes.ts";
import type { HeldFile, HeldLayer } from "./held-layer.ts";
import {
  bytesOf,
  headerOf,
  HEADER_BYTES,
  MAX_NAMES_END,
  MAX_SEGMENTS,
  NAME_HEAD_BYTES,
  SEGMENT_ROWS,
  tableOf,
  type Segment,
} from "./index-format.ts";
import { hashName, type NameHash } from "./name-hash.ts";
import { FILE_WORDS, MAX_NUMBER, releaseWords, Rows } from "./rows.ts";

/** Files after which others get their turn: a millisecond or two of work. */
const TURN = 500;
const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;

export interface WriteIndexOptions {
  readonly signal?: AbortSignal;
  /** Files of a segment. Default {@link SEGMENT_ROWS}. */
  readonly segmentRows?: number;
}

/**
 * Puts a new index in the place of the one at `path`. Nothing is synced: what a power cut spoils is found out by its checksums.
 * @throws NodeJS.ErrnoException, what walking the layer says, the signal's reason
 */
export async function writeIndex(layer: HeldLayer, path: string, options: WriteIndexOptions = {}): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await using file = await open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o644);
    await new IndexWriter(file, layer, options).write();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

class IndexWriter {
  readonly #file: FileHandle;
  readonly #layer: HeldLayer;
  readonly #signal: AbortSignal | undefined;
  readonly #segmentRows: number;
  readonly #segments: Segment[] = [];
  #position = HEADER_BYTES;
  #rows: Rows;
  #names: SegmentNames;

  constructor(file: FileHandle, layer: HeldLayer, { signal, segmentRows = SEGMENT_ROWS }: WriteIndexOptions) {
    this.#file = file;
    this.#layer = layer;
    this.#signal = signal;
    this.#segmentRows = segmentRows;
    this.#rows = new Rows(FILE_WORDS, 1024);
    this.#names = new SegmentNames(this.#position);
  }

  async write(): Promise<void> {
    let seen = 0;
    for (const held of this.#layer.files()) {
      if (++seen % TURN === 0) await setImmediate();
      this.#signal?.throwIfAborted();
      if (!this.#add(held)) break;
      if (this.#rows.length >= this.#segmentRows) await this.#flush();
    }
    if (this.#rows.length > 0) await this.#flush();
    const table = tableOf(this.#segments);
    await this.#append(bytesOf(table));
    const header = bytesOf(headerOf(table, this.#position - table.byteLength));
    await this.#file.write(header, 0, header.length, 0);
  }

  /** @returns false when the index can hold no more: what is left is then not found, and fetched */
  #add({ path, size, device, start }: HeldFile): boolean {
    if (size > MAX_NUMBER || start > MAX_NUMBER) return true;
    if (this.#segments.length >= MAX_SEGMENTS) return false;
    const ref = this.#layer.form === "devices" ? device : this.#names.add(path);
    if (ref === undefined) return false;
    const at = this.#rows.add(size, ref, start);
    const { path: whole, base } = hashName(path, hash);
    this.#rows.set(at + 4, whole);
    this.#rows.set(at + 5, base);
    return true;
  }

  async #flush(): Promise<void> {
    const names = this.#names.bytes();
    const namesAt = this.#position;
    await this.#append(names);
    const sorted = this.#rows.sorted();
    const rows = bytesOf(sorted);
    const rowsAt = this.#position;
    await this.#append(rows);
    this.#segments.push({
      rowsAt,
      rows: this.#rows.length,
      rowsSum: crc32(rows),
      namesAt,
      namesBytes: names.length,
    });
    releaseWords(sorted);
    this.#rows[Symbol.dispose]();
    this.#rows = new Rows(FILE_WORDS, 1024);
    this.#names = new SegmentNames(this.#position);
  }

  async #append(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#position + done);
      done += bytesWritten;
    }
    this.#position += bytes.length;
  }
}

const hash: NameHash = { path: 0, base: 0 };

/** Names of a tree's files, and of the directories on the way to them. Files come in the order of a walk, so few directories are open at once. */
class SegmentNames {
  readonly #from: number;
  #bytes = Buffer.alloc(0);
  #length = 0;
  /** On the way to the last file. */
  #directories: { readonly name: string; readonly ref: number }[] = [];

  constructor(from: number) {
    this.#from = from;
  }

  /** @returns where the name is; undefined when there is no room left */
  add(path: string): number | undefined {
    const names = path.split("/");
    const last = names.pop() ?? "";
    let same = 0;
    while (same < names.length && this.#directories[same]?.name === names[same]) same++;
    this.#directories.length = same;
    for (const name of names.slice(same)) {
      const ref = this.#put(this.#directories.at(-1)?.ref ?? 0, name);
      if (ref === undefined) return undefined;
      this.#directories.push({ name, ref });
    }
    return this.#put(this.#directories.at(-1)?.ref ?? 0, last);
  }

  /** All of them, padded to whole words. */
  bytes(): Buffer {
    return Buffer.concat([this.#bytes.subarray(0, this.#length), Buffer.alloc((4 - (this.#length % 4)) % 4)]);
  }

  #put(parent: number, text: string): number | undefined {
    const name = encodeName(text);
    const at = this.#length;
    const end = at + NAME_HEAD_BYTES + name.length;
    if (this.#from + end > MAX_NAMES_END) return undefined;
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(4096, end, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#bytes.writeUInt32LE(parent, at);
    this.#bytes[at + 4] = name.length;
    this.#bytes.set(name, at + NAME_HEAD_BYTES);
    this.#length = end;
    return this.#from + at;
  }
}
