/**
 * Cuts the JSON of a table of contents into its entries as it streams by (formats "zstd-chunked" §1.3, "estargz" §2), so that no more than one
 * entry of it is ever a string or an object. It does not judge what is inside of an entry: `JSON.parse` does that, on bounded text.
 */
import { isAscii, isUtf8 } from "node:buffer";
import { VarveError } from "../../errors/varve-error.ts";

export interface TocScanHandler {
  /** An element of `entries`, parsed. */
  entry(value: unknown): void;
  /** Any other member of the document, parsed. */
  field(name: string, value: unknown): void;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Bytes of one entry. Extended attributes may have 64 KiB each, in base64. */
const MAX_ENTRY_BYTES = 1 << 20;
/** An entry nests two levels deep. */
const MAX_DEPTH = 16;

const ENTRIES = "entries";

/** What may come next. */
type State =
  | "start"
  | "key-or-end"
  | "key"
  | "colon"
  | "value"
  | "after-value"
  | "element-or-end"
  | "element"
  | "after-element"
  | "done";

/** `write` the document in pieces of any size, then `end`. All errors are TOC_INVALID, or what the handler throws. */
export class TocScanner {
  readonly #handler: TocScanHandler;
  #state: State = "start";
  #key = "";
  #sawEntries = false;
  // The key, value or element at hand: what came of it in earlier pieces, and where in it we are.
  #inUnit = false;
  #carry: Buffer[] = [];
  #carried = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  constructor(handler: TocScanHandler) {
    this.#handler = handler;
  }

  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let at = 0; at < bytes.length;) {
      if (this.#inUnit) at = this.#scanUnit(bytes, at);
      else if (isSpace(bytes[at]!)) at++;
      else at = this.#take(bytes, at);
    }
  }

  end(): void {
    if (this.#state !== "done") throw invalid("is cut short");
  }

  /** A byte outside of keys, values and elements. */
  #take(bytes: Buffer, at: number): number {
    const byte = bytes[at]!;
    switch (this.#state) {
      case "start":
        return this.#expect(byte === OPEN_BRACE, "key-or-end", at);
      case "key-or-end":
        if (byte === CLOSE_BRACE) return this.#expect(true, "done", at);
        return this.#beginUnit(byte === QUOTE, bytes, at);
      case "key":
        return this.#beginUnit(byte === QUOTE, bytes, at);
      case "colon":
        return this.#expect(byte === COLON, "value", at);
      case "value":
        if (this.#key !== ENTRIES || byte !== OPEN_BRACKET) return this.#beginUnit(byte !== CLOSE_BRACE, bytes, at);
        if (this.#sawEntries) throw invalid("has two lists of entries");
        this.#sawEntries = true;
        return this.#expect(true, "element-or-end", at);
      case "after-value":
        return this.#expect(byte === COMMA || byte === CLOSE_BRACE, byte === COMMA ? "key" : "done", at);
      case "element-or-end":
        if (byte === CLOSE_BRACKET) return this.#expect(true, "after-value", at);
        return this.#beginUnit(byte === OPEN_BRACE, bytes, at);
      case "element":
        return this.#beginUnit(byte === OPEN_BRACE, bytes, at);
      case "after-element":
        return this.#expect(byte === COMMA || byte === CLOSE_BRACKET, byte === COMMA ? "element" : "after-value", at);
      case "done":
        throw invalid("goes on behind its end");
    }
  }

  #expect(isExpected: boolean, next: State, at: number): number {
    if (!isExpected) throw invalid("is no JSON of the known form");
    this.#state = next;
    return at + 1;
  }

  #beginUnit(isExpected: boolean, bytes: Buffer, at: number): number {
    if (!isExpected) throw invalid("is no JSON of the known form");
    this.#inUnit = true;
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
    return this.#scanUnit(bytes, at);
  }

  /** Follows the unit at hand to its end, or to that of the piece. @returns where to go on */
  #scanUnit(bytes: Buffer, from: number): number {
    let at = from;
    let depth = this.#depth;
    let inString = this.#inString;
    let escaped = this.#escaped;
    let ended = false;
    for (; at < bytes.length && !ended; at++) {
      const byte = bytes[at]!;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) {
          inString = false;
          ended = depth === 0;
        }
      } else if (byte === QUOTE) inString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (++depth > MAX_DEPTH) throw invalid("nests too deep");
      } else if (depth === 0) {
        // The end of a number or a word, which is not part of it.
        if (byte !== COMMA && byte !== CLOSE_BRACE && byte !== CLOSE_BRACKET && !isSpace(byte)) continue;
        ended = true;
        at--;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) ended = --depth === 0;
    }
    this.#depth = depth;
    this.#inString = inString;
    this.#escaped = escaped;
    const part = bytes.subarray(from, at);
    if (this.#carried + part.length > MAX_ENTRY_BYTES)
      throw invalid(`has an entry of more than ${MAX_ENTRY_BYTES} bytes`);
    if (ended) this.#endUnit(part);
    else {
      this.#carry.push(Buffer.from(part));
      this.#carried += part.length;
    }
    return at;
  }

  #endUnit(last: Buffer): void {
    const unit = this.#carry.length === 0 ? last : Buffer.concat([...this.#carry, last]);
    this.#carry = [];
    this.#carried = 0;
    this.#inUnit = false;
    const value = parse(unit);
    if (this.#state === "element" || this.#state === "element-or-end") {
      this.#state = "after-element";
      this.#handler.entry(value);
    } else if (this.#state === "value") {
      if (this.#key === ENTRIES && value !== null) throw invalid("has no list of entries");
      this.#state = "after-value";
      this.#handler.field(this.#key, value);
    } else {
      this.#key = value as string;
      this.#state = "colon";
    }
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x09 || byte === 0x0d;
}

function parse(unit: Buffer): unknown {
  try {
    if (isAscii(unit)) return JSON.parse(unit.toString("latin1"));
    if (isUtf8(unit)) return JSON.parse(unit.toString("utf8"));
  } catch (cause) {
    throw new VarveError("TOC_INVALID", "the layer's table of contents is not JSON", { cause });
  }
  throw invalid("is not UTF-8");
}

function invalid(what: string): VarveError {
  return new VarveError("TOC_INVALID", `the layer's table of contents ${what}`);
}
