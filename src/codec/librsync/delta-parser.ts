/**
 * Reads a delta (librsync §2) as strictly as `rdiff` does: reserved commands, lengths of zero and numbers beyond 2^53 - 1 are corrupt, a delta
 * without its end is truncated, and what comes after the end is ignored.
 */
import {
  commandBytes,
  DELTA_MAGIC,
  LONGEST_COMMAND,
  MAGIC_BYTES,
  OP_COPY_N1_N1,
  OP_END,
  OP_LITERAL_64,
  OP_LITERAL_N1,
  type DeltaOp,
} from "./delta-format.ts";
import type { VarveError } from "../../errors/varve-error.ts";
import { badDelta } from "./fault.ts";

/**
 * Give it a chunk, call `next` until it says that there is no more, and so on; then `end`. What `next` found stands in the parser's own fields,
 * because there may be millions of it: an object for each takes longer than what is to be done.
 */
export class DeltaParser {
  /** Of a copy. */
  start = 0;
  length = 0;
  /** Of a literal, or a part of one: where its bytes are in the chunk, and how many follow in later ones. */
  from = 0;
  to = 0;
  left = 0;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** A command that was begun in an earlier chunk. */
  readonly #begun = new Uint8Array(LONGEST_COMMAND);
  #have = 0;
  #isStarted = false;
  #isEnded = false;
  /** Bytes before the chunk at hand. */
  #before = 0;

  /** Whether the end was read: the rest need not be. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** What was read before belongs to the caller again. */
  give(chunk: Uint8Array): void {
    this.#before += this.#at;
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** What the chunk says next; undefined when that is all. @throws VarveError `DELTA_INVALID` */
  next(): DeltaOp["kind"] | undefined {
    const chunk = this.#chunk;
    while (this.#at < chunk.length && !this.#isEnded) {
      if (this.left > 0) {
        this.from = this.#at;
        this.to = this.#at = Math.min(chunk.length, this.from + this.left);
        this.left -= this.to - this.from;
        return "literal";
      }
      if (this.#have === 0 && chunk.length - this.#at >= LONGEST_COMMAND) {
        const needed = this.#needed(chunk[this.#at]!);
        const isCopy = this.#read(chunk, this.#at);
        this.#at += needed;
        if (isCopy) return "copy";
      } else if (this.#gather(chunk[this.#at]!)) return "copy";
    }
    return undefined;
  }

  /** @throws VarveError `DELTA_INVALID` when the delta has not come to its end */
  end(): void {
    if (!this.#isEnded) throw this.#bad("ends too early");
  }

  /** Takes a byte, and does what the command says when that makes it whole. */
  #gather(byte: number): boolean {
    this.#begun[this.#have++] = byte;
    this.#at += 1;
    if (this.#have < this.#needed(this.#begun[0]!)) return false;
    this.#have = 0;
    return this.#read(this.#begun, 0);
  }

  /** Bytes of what begins with this one. */
  #needed(op: number): number {
    if (!this.#isStarted) return MAGIC_BYTES;
    const bytes = commandBytes(op);
    if (bytes === 0) throw this.#bad(`has the command 0x${op.toString(16)}, which has no meaning`);
    return bytes;
  }

  /** Does what a whole command says, and whether that is a copy. */
  #read(bytes: Uint8Array, at: number): boolean {
    if (!this.#isStarted) {
      if (readNumber(bytes, at, MAGIC_BYTES) !== DELTA_MAGIC) throw this.#bad("does not begin as deltas do");
      this.#isStarted = true;
      return false;
    }
    const op = bytes[at]!;
    if (op >= OP_COPY_N1_N1) {
      const startBytes = 1 << ((op - OP_COPY_N1_N1) >> 2);
      this.start = readNumber(bytes, at + 1, startBytes);
      this.length = readNumber(bytes, at + 1 + startBytes, 1 << ((op - OP_COPY_N1_N1) & 3));
      if (this.length > 0 && Number.isSafeInteger(this.start + this.length)) return true;
      throw this.#bad("has a copy of no possible length or place");
    }
    if (op === OP_END) this.#isEnded = true;
    else this.left = op <= OP_LITERAL_64 ? op : readNumber(bytes, at + 1, 1 << (op - OP_LITERAL_N1));
    if (this.left > 0 ? Number.isSafeInteger(this.left) : this.#isEnded) return false;
    throw this.#bad("has a literal of no possible length");
  }

  #bad(what: string): VarveError {
    return badDelta(what, this.#before + this.#at);
  }
}

/** Numbers of eight bytes may come out rounded, and are no safe integers then. */
function readNumber(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let byte = 0; byte < width; byte++) value = value * 256 + bytes[at + byte]!;
  return value;
}

/** What a delta says, one thing after the other. Literals are lent until the next is asked for. @throws VarveError `DELTA_INVALID` */
export async function* readDelta(source: AsyncIterable<Uint8Array>): AsyncGenerator<DeltaOp, void, undefined> {
  const parser = new DeltaParser();
  for await (const chunk of source) {
    parser.give(chunk);
    for (let kind = parser.next(); kind !== undefined; kind = parser.next()) {
      if (kind === "copy") yield { kind, start: parser.start, length: parser.length };
      else yield { kind, bytes: chunk.subarray(parser.from, parser.to), left: parser.left };
    }
    if (parser.isEnded) return;
  }
  parser.end();
}
