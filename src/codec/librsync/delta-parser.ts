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
import { badDelta } from "./fault.ts";

/** Give it all bytes with `write`, then call `end`. */
export class DeltaParser {
  /** A command that was begun in an earlier chunk. */
  readonly #begun = new Uint8Array(LONGEST_COMMAND);
  #have = 0;
  #isStarted = false;
  #isEnded = false;
  /** Bytes of the literal that are still to come. */
  #literal = 0;
  /** Bytes before the chunk at hand. */
  #before = 0;

  /** Whether the end was read: the rest need not be. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * What the chunk says. Literals are views of it. All must be taken before the next chunk is given.
   * @throws VarveError `DELTA_INVALID`
   */
  *write(chunk: Uint8Array): Generator<DeltaOp, void, undefined> {
    let at = 0;
    while (at < chunk.length && !this.#isEnded) {
      if (this.#literal > 0) {
        const bytes = chunk.subarray(at, at + this.#literal);
        at += bytes.length;
        this.#literal -= bytes.length;
        yield { kind: "literal", bytes, left: this.#literal };
        continue;
      }
      let op: DeltaOp | undefined;
      if (this.#have === 0 && chunk.length - at >= LONGEST_COMMAND) {
        const needed = this.#needed(chunk[at]!, at);
        op = this.#read(chunk, at, at);
        at += needed;
      } else {
        this.#begun[this.#have++] = chunk[at]!;
        if (this.#have >= this.#needed(this.#begun[0]!, at)) {
          this.#have = 0;
          op = this.#read(this.#begun, 0, at);
        }
        at += 1;
      }
      if (op !== undefined) yield op;
    }
    this.#before += chunk.length;
  }

  /** @throws VarveError `DELTA_INVALID` when the delta has not come to its end */
  end(): void {
    if (!this.#isEnded) throw badDelta("ends too early", this.#before);
  }

  /** Bytes of what begins with this one. */
  #needed(op: number, at: number): number {
    if (!this.#isStarted) return MAGIC_BYTES;
    const bytes = commandBytes(op);
    if (bytes === 0) throw badDelta(`has the command 0x${op.toString(16)}, which has no meaning`, this.#before + at);
    return bytes;
  }

  /** Does what a whole command says; a copy is given back. @param where for messages */
  #read(bytes: Uint8Array, from: number, where: number): DeltaOp | undefined {
    const fail = (what: string): Error => badDelta(what, this.#before + where);
    if (!this.#isStarted) {
      if (readNumber(bytes, from, MAGIC_BYTES) !== DELTA_MAGIC) throw fail("does not begin as deltas do");
      this.#isStarted = true;
      return undefined;
    }
    const op = bytes[from]!;
    if (op === OP_END) this.#isEnded = true;
    else if (op <= OP_LITERAL_64) this.#literal = op;
    else if (op < OP_COPY_N1_N1) {
      this.#literal = readNumber(bytes, from + 1, 1 << (op - OP_LITERAL_N1));
      if (!(this.#literal > 0 && Number.isSafeInteger(this.#literal)))
        throw fail("has a literal of no possible length");
    } else {
      const [startBytes, lengthBytes] = [1 << ((op - OP_COPY_N1_N1) >> 2), 1 << ((op - OP_COPY_N1_N1) & 3)];
      const start = readNumber(bytes, from + 1, startBytes);
      const length = readNumber(bytes, from + 1 + startBytes, lengthBytes);
      if (length === 0 || !Number.isSafeInteger(start + length))
        throw fail("has a copy of no possible length or place");
      return { kind: "copy", start, length };
    }
    return undefined;
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
    yield* parser.write(chunk);
    if (parser.isEnded) return;
  }
  parser.end();
}
