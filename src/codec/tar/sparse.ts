/**
 * Maps of sparse members (GNU tar manual, "Storing Sparse Files"): old GNU headers, and PAX formats 0.0, 0.1 and 1.0.
 * All become a list of extents in the file, in the order in which their bytes are stored. Decoded as Go decodes them;
 * beyond Go's checks the extents must add up to the stored bytes, because otherwise every reader fails half-way.
 */
import { BLOCK, FIELD, paddingOf } from "./block.ts";
import type { SparseExtent } from "./entry.ts";
import { invalid, overLimit } from "./fault.ts";
import { parseDecimal, parseNumber } from "./number.ts";
import type { PaxRecords } from "./pax.ts";

const NEWLINE = 0x0a;
const MAP_NUMBER_DIGITS = 32;
const HEADER_SLOTS = { at: 386, count: 4, extendedAt: 482 };
const EXTENSION_SLOTS = { at: 0, count: 21, extendedAt: 504 };

/** Collects a map's numbers, pair by pair, and checks them. */
export class SparseMap {
  readonly #limit: number;
  readonly #offset: number;
  readonly #extents: SparseExtent[] = [];
  #pairs = 0;
  #end = 0;
  #stored = 0;

  /** `limit`: how many pairs it may have; `offset`: where the member is, for messages. */
  constructor(limit: number, offset: number) {
    this.#limit = limit;
    this.#offset = offset;
  }

  add(offset: number, length: number): void {
    if (++this.#pairs > this.#limit) throw overLimit(`a sparse map passes the limit of ${this.#limit}`, this.#offset);
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || length < 0 || offset < this.#end) {
      throw invalid("the sparse map is out of order or malformed", this.#offset);
    }
    this.#end = offset + length;
    this.#stored += length;
    if (length > 0) this.#extents.push({ offset, length });
  }

  /** The extents with data, once the file's size and the number of stored bytes are known. */
  finish(size: number, storedSize: number): readonly SparseExtent[] {
    if (!Number.isSafeInteger(size) || size < 0 || this.#end > size) {
      throw invalid("the sparse map reaches beyond the file's size", this.#offset);
    }
    if (this.#stored !== storedSize) {
      throw invalid(`the sparse map tells of ${this.#stored} bytes, ${storedSize} are stored`, this.#offset);
    }
    return this.#extents;
  }
}

/** The file's size in an old GNU header; NaN when malformed. */
export function oldGnuRealSize(bytes: Buffer, at: number): number {
  return parseNumber(bytes, at + FIELD.gnuRealSize[0], FIELD.gnuRealSize[1]);
}

/** Adds the pairs of an old GNU header or of one of its extension blocks; true when another such block follows. */
export function addOldGnuBlock(map: SparseMap, bytes: Buffer, at: number, isHeader: boolean): boolean {
  const slots = isHeader ? HEADER_SLOTS : EXTENSION_SLOTS;
  for (let slot = 0; slot < slots.count; slot++) {
    const pair = at + slots.at + slot * 24;
    if (bytes[pair] === 0) break;
    map.add(parseNumber(bytes, pair, 12), parseNumber(bytes, pair + 12, 12));
  }
  return bytes[at + slots.extendedAt] !== 0;
}

/** Which PAX sparse format the records announce, if any that is known. */
export function paxSparseFormat(pax: PaxRecords): "header" | "payload" | undefined {
  const major = pax.values.get("GNU.sparse.major") ?? "";
  const minor = pax.values.get("GNU.sparse.minor") ?? "";
  if (major === "0" && (minor === "0" || minor === "1")) return "header";
  if (major === "1" && minor === "0") return "payload";
  if (major !== "" || minor !== "") return undefined;
  return pax.sparseMap !== undefined || (pax.values.get("GNU.sparse.map") ?? "") !== "" ? "header" : undefined;
}

/** The file's size according to the records; undefined when they leave it to the header, NaN when malformed. */
export function paxRealSize(pax: PaxRecords): number | undefined {
  const text = pax.values.get("GNU.sparse.size") || pax.values.get("GNU.sparse.realsize");
  return text === undefined || text === "" ? undefined : parseDecimal(text);
}

/** Formats 0.0 and 0.1: the whole map is in the records. */
export function addPaxMap(map: SparseMap, pax: PaxRecords, offset: number): void {
  const joined = pax.values.get("GNU.sparse.map") ?? "";
  const numbers = pax.sparseMap ?? (joined === "" ? [] : joined.split(","));
  if (parseDecimal(pax.values.get("GNU.sparse.numblocks") ?? "") * 2 !== numbers.length) {
    throw invalid("the sparse map has not as many entries as it says", offset);
  }
  for (let i = 0; i < numbers.length; i += 2) map.add(decimal(numbers[i]), decimal(numbers[i + 1]));
}

const decimal = (text: string | undefined): number => parseDecimal(text ?? "");

/** Format 1.0: a count and the pairs, one number a line, in whole blocks before the data. */
export class PayloadMapReader {
  readonly #map: SparseMap;
  readonly #offset: number;
  #token = "";
  #missing = 1;
  #sawCount = false;
  #first = 0;

  constructor(map: SparseMap, offset: number) {
    this.#map = map;
    this.#offset = offset;
  }

  /** Takes the map's next block; true when it was the last one. */
  addBlock(bytes: Buffer, at: number): boolean {
    for (let i = at; i < at + BLOCK && this.#missing > 0; i++) {
      const byte = bytes[i] ?? 0;
      if (byte === NEWLINE) this.#number(parseDecimal(this.#token));
      else if (this.#token.length === MAP_NUMBER_DIGITS) throw invalid("the sparse map is malformed", this.#offset);
      else this.#token += String.fromCharCode(byte);
    }
    return this.#missing === 0;
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw invalid("the sparse map is malformed", this.#offset);
    this.#token = "";
    if (!this.#sawCount) {
      this.#sawCount = true;
      this.#missing = 2 * value;
      return;
    }
    if (this.#missing % 2 === 0) this.#first = value;
    else this.#map.add(this.#first, value);
    this.#missing--;
  }
}

/** A map in format 1.0, padded to whole blocks. */
export function encodePayloadMap(extents: readonly SparseExtent[]): Buffer {
  const numbers = [extents.length, ...extents.flatMap(({ offset, length }) => [offset, length])];
  const text = Buffer.from(numbers.map((number) => `${number}\n`).join(""), "latin1");
  return Buffer.concat([text, Buffer.alloc(paddingOf(text.length))]);
}
