/**
 * The pieces that are wanted, in columns of numbers and sorted, so that whatever is held can be compared with them: by size, by digest, by name.
 * Takes about 50 bytes for each piece, however many files are held.
 */
import type { PieceTable } from "../../codec/piece-table.ts";
import { digestHex } from "../../oci/digest.ts";
import { HashSet } from "./hash-set.ts";
import { combine, hashName, type NameHash } from "./name-hash.ts";
import { MAX_NUMBER } from "./rows.ts";

const SHA256 = "sha256:";
/** Looks for content of a size that were not right until no more is looked at, for each piece of it. */
const TRIES = 4;
/** Digests that begin with the same 64 bits: no two do by chance, but what is wanted is what somebody says. */
const MOST_ALIKE = 16;

/** A place as numbers: which source, and the key's parts in it. */
export interface SourceRow {
  readonly source: number;
  readonly ref: number;
  readonly start: number;
}

export class WantedSet {
  readonly table: PieceTable;
  /** Pieces that can be looked for, by size and then by digest. */
  #order: Uint32Array;
  /** In that order. */
  #sizes: Float64Array;
  #high: Uint32Array;
  #low: Uint32Array;
  /** Of each group of one size, where it begins: pieces that have no place, and how many more looks there may be. */
  #left: Uint32Array;
  #tries: Uint32Array;
  /** By piece: number of the source, counted from 1, and the place in it. */
  readonly #sources: Uint32Array;
  readonly #refs: Uint32Array;
  readonly #starts: Float64Array;
  #names = { path: new HashSet(0), base: new HashSet(0) };
  #pieces = 0;
  #bytes = 0;
  #missing = 0;

  constructor(table: PieceTable) {
    this.table = table;
    const { length } = table;
    const sizes = new Float64Array(length);
    const [high, low] = [new Uint32Array(length), new Uint32Array(length)];
    let count = 0;
    const all = new Uint32Array(length);
    for (let piece = 0; piece < length; piece++) {
      const size = table.size(piece);
      const digest = size > 0 && size <= MAX_NUMBER ? table.digest(piece) : undefined;
      if (digest === undefined || !digest.startsWith(SHA256)) continue;
      sizes[piece] = size;
      high[piece] = Number.parseInt(digest.slice(SHA256.length, SHA256.length + 8), 16);
      low[piece] = Number.parseInt(digest.slice(SHA256.length + 8, SHA256.length + 16), 16);
      all[count++] = piece;
      this.#missing += size;
    }
    this.#order = all.slice(0, count);
    this.#order.sort((a, b) => sizes[a]! - sizes[b]! || high[a]! - high[b]! || low[a]! - low[b]! || a - b);
    this.#sizes = new Float64Array(count).map((_, at) => sizes[this.#order[at]!]!);
    this.#high = new Uint32Array(count).map((_, at) => high[this.#order[at]!]!);
    this.#low = new Uint32Array(count).map((_, at) => low[this.#order[at]!]!);
    for (const column of [all, sizes, high, low]) release(column);
    this.#left = new Uint32Array(count);
    this.#tries = new Uint32Array(count);
    for (let at = 0, group = 0; at < count; at++) {
      if (this.#sizes[at] !== this.#sizes[group]) group = at;
      this.#left[group]!++;
      this.#tries[group]! += TRIES;
    }
    this.#sources = new Uint32Array(length);
    this.#refs = new Uint32Array(length);
    this.#starts = new Float64Array(length);
  }

  /** Pieces that can be looked for. */
  get length(): number {
    return this.#order.length;
  }

  /** Pieces that have a place, and their bytes. */
  get found(): { readonly pieces: number; readonly bytes: number } {
    return { pieces: this.#pieces, bytes: this.#bytes };
  }

  /** Bytes of pieces that have no place yet. */
  get missingBytes(): number {
    return this.#missing;
  }

  get isComplete(): boolean {
    return this.#pieces === this.#order.length;
  }

  sizeAt(group: number): number {
    return this.#sizes[group] ?? Infinity;
  }

  /** The first group of pieces that are not smaller than that, `length` if there is none. */
  groupFrom(size: number): number {
    return this.#lower(0, this.#sizes.length, (at) => this.#sizes[at]! < size);
  }

  /** The group after this one. */
  groupAfter(group: number): number {
    const size = this.#sizes[group];
    let last = group;
    let step = 1;
    // Most sizes are wanted once or twice.
    for (; this.#sizes[last + step] === size; step *= 2) last += step;
    return this.#lower(last + 1, Math.min(last + step, this.#sizes.length), (at) => this.#sizes[at] === size);
  }

  /** Whether content of the group's size is worth being looked at. */
  isOpen(group: number): boolean {
    return this.#left[group]! > 0 && this.#tries[group]! > 0;
  }

  /** Counts a look at content of the group's size. */
  tried(group: number): void {
    if (this.#tries[group]! > 0) this.#tries[group]!--;
  }

  /** Makes {@link isNamed} answer: for the pieces that have no place now. */
  prepareNames(): void {
    this.#names.path.release();
    this.#names.base.release();
    this.#names.path = new HashSet(this.#order.length - this.#pieces);
    this.#names.base = new HashSet(this.#order.length - this.#pieces);
    // In the order of the table, where the pieces of a file stand together: its name is hashed once.
    const pieces = this.#order.slice().sort();
    let last: string | undefined;
    for (const piece of pieces) {
      if (this.#sources[piece] !== 0) continue;
      const name = this.table.name(piece);
      if (name !== last) hashName(name, hash);
      last = name;
      const { path, base } = hash;
      this.#names.path.add(combine(path, this.table.size(piece)));
      this.#names.base.add(combine(base, this.table.size(piece)));
    }
    release(pieces);
  }

  /** Whether a piece of that size, which had no place, has that name. */
  isNamed(by: "path" | "base", nameHash: number, size: number): boolean {
    return this.#names[by].has(combine(nameHash, size));
  }

  hasPlace(piece: number): boolean {
    return this.#sources[piece] !== 0;
  }

  /** Gives a place to the pieces of this size and digest that have none. @param digest 32 bytes @returns how many there were */
  match(size: number, digest: Uint8Array, place: SourceRow): number {
    const group = this.groupFrom(size);
    if (this.#sizes[group] !== size || this.#left[group] === 0) return 0;
    const high = wordAt(digest, 0);
    const low = wordAt(digest, 4);
    const hex = Buffer.from(digest).toString("hex");
    let matched = 0;
    let others = 0;
    const isBefore = (at: number): boolean =>
      this.#sizes[at] === size && (this.#high[at]! < high || (this.#high[at] === high && this.#low[at]! < low));
    for (let at = this.#lower(group, this.#sizes.length, isBefore); this.#isAt(at, size, high, low); at++) {
      const piece = this.#order[at]!;
      if (digestHexOf(this.table, piece) !== hex) {
        if (++others >= MOST_ALIKE) break;
        continue;
      }
      // All of this digest got their places at once; there may be a million of them.
      if (this.#sources[piece] !== 0) break;
      this.#sources[piece] = place.source + 1;
      this.#refs[piece] = place.ref;
      this.#starts[piece] = place.start;
      this.#left[group]!--;
      this.#missing -= size;
      this.#pieces++;
      this.#bytes += size;
      matched++;
    }
    return matched;
  }

  placeOf(piece: number): SourceRow | undefined {
    const source = this.#sources[piece] ?? 0;
    if (source === 0) return undefined;
    return { source: source - 1, ref: this.#refs[piece]!, start: this.#starts[piece]! };
  }

  /** Sources that places are in. */
  used(): Set<number> {
    const used = new Set<number>();
    for (const source of this.#sources) if (source !== 0) used.add(source - 1);
    return used;
  }

  /** Takes the places back that are in a source. */
  drop(source: number): void {
    for (let piece = 0; piece < this.#sources.length; piece++) {
      if (this.#sources[piece] !== source + 1) continue;
      const size = this.table.size(piece);
      this.#sources[piece] = 0;
      this.#left[this.groupFrom(size)]!++;
      this.#missing += size;
      this.#pieces--;
      this.#bytes -= size;
    }
  }

  /** Gives back what only a search needs: afterwards nothing can be matched, and places stay. */
  settle(): void {
    const { path, base } = this.#names;
    for (const column of [this.#order, this.#sizes, this.#high, this.#low, this.#left, this.#tries]) release(column);
    this.#order = this.#high = this.#low = this.#left = this.#tries = new Uint32Array();
    this.#sizes = new Float64Array();
    this.#names = { path: new HashSet(0), base: new HashSet(0) };
    path.release();
    base.release();
  }

  #isAt(at: number, size: number, high: number, low: number): boolean {
    return this.#sizes[at] === size && this.#high[at] === high && this.#low[at] === low;
  }

  #lower(from: number, to: number, isBefore: (at: number) => boolean): number {
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function release({ buffer }: Uint32Array | Float64Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

const hash: NameHash = { path: 0, base: 0 };

function wordAt(digest: Uint8Array, at: number): number {
  return ((digest[at]! << 24) | (digest[at + 1]! << 16) | (digest[at + 2]! << 8) | digest[at + 3]!) >>> 0;
}

function digestHexOf(table: PieceTable, piece: number): string | undefined {
  const digest = table.digest(piece);
  return digest && digestHex(digest);
}
