/** Makes a signature of a stream (librsync §1), block by block, in bounded memory whatever the size of blocks. */
import { magicOf } from "./kinds.ts";
import { resolveHead, type SignatureOptions } from "./signature-sizes.ts";
import { strongSum, type StrongSum } from "./strong-sum.ts";
import { weakSum, type WeakSum } from "./weak-sums.ts";

export const HEAD_BYTES = 12;
const WEAK_BYTES = 4;
const PIECE_BYTES = 64 << 10;

/** Give it all bytes with `write`, then call `end`. What they give out is lent until the next call. */
export class SignatureWriter {
  readonly #blockBytes: number;
  readonly #strongBytes: number;
  readonly #weak: WeakSum;
  readonly #strong: StrongSum;
  readonly #output = Buffer.allocUnsafe(PIECE_BYTES);
  #used = 0;
  /** Bytes of the block that is being summed. */
  #inBlock = 0;
  #blocks = 0;

  /** @throws VarveError `USAGE` for sizes that no signature can have */
  constructor(options: SignatureOptions = {}) {
    const head = resolveHead(options);
    this.#blockBytes = head.blockBytes;
    this.#strongBytes = head.strongBytes;
    this.#weak = weakSum(head.weak);
    this.#strong = strongSum(head.strong);
    for (const word of [magicOf(head), head.blockBytes, head.strongBytes]) {
      this.#used = this.#output.writeUInt32BE(word, this.#used);
    }
  }

  get blockBytes(): number {
    return this.#blockBytes;
  }

  get strongBytes(): number {
    return this.#strongBytes;
  }

  /** How many sums there are. */
  get blocks(): number {
    return this.#blocks;
  }

  *write(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < chunk.length;) {
      const end = Math.min(chunk.length, at + this.#blockBytes - this.#inBlock);
      this.#weak.update(chunk, at, end);
      this.#strong.update(chunk.subarray(at, end));
      this.#inBlock += end - at;
      at = end;
      if (this.#inBlock < this.#blockBytes) return;
      this.#endBlock();
      if (PIECE_BYTES - this.#used < WEAK_BYTES + this.#strongBytes) yield this.#give();
    }
  }

  *end(): Generator<Uint8Array, void, undefined> {
    if (this.#inBlock > 0) this.#endBlock();
    if (this.#used > 0) yield this.#give();
  }

  #endBlock(): void {
    this.#used = this.#output.writeUInt32BE(this.#weak.value, this.#used);
    this.#strong.finish(this.#output, this.#used, this.#strongBytes);
    this.#used += this.#strongBytes;
    this.#weak.reset();
    this.#inBlock = 0;
    this.#blocks += 1;
  }

  #give(): Uint8Array {
    const piece = this.#output.subarray(0, this.#used);
    this.#used = 0;
    return piece;
  }
}

/**
 * The signature of the source, in pieces that are lent until the next is asked for.
 * @throws VarveError `USAGE`; what the source throws
 */
export async function* writeSignature(
  source: AsyncIterable<Uint8Array>,
  options: SignatureOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const writer = new SignatureWriter(options);
  for await (const chunk of source) yield* writer.write(chunk);
  yield* writer.end();
}
