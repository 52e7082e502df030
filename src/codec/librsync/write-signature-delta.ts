/**
 * Makes a delta from a signature, for a base that is elsewhere (librsync §1, §2): the weak sum is rolled over the new file byte by byte, and where
 * it is that of a block, the strong sum decides. Memory: the signature and half as much again, and two blocks of the new file.
 */
import { setImmediate as turn } from "node:timers/promises";
import { VarveError } from "../../errors/varve-error.ts";
import { DeltaWriter } from "./delta-writer.ts";
import type { Signature } from "./read-signature.ts";
import { SignatureIndex } from "./signature-index.ts";
import { strongSum, type StrongSum } from "./strong-sum.ts";
import { weakSum, type WeakSum } from "./weak-sums.ts";

export interface SignatureDeltaOptions {
  readonly signal?: AbortSignal;
  /** Told when all is done what was written. */
  readonly onCounts?: (counts: DeltaWriter["counts"]) => void;
}

/** A block has to be in memory; what makes signatures makes none of more than a few MiB. */
const LARGEST_WINDOW = 128 << 20;
/** What is held beyond one block at most. */
const LEAST_ROOM = 1 << 20;

/**
 * The delta that makes the new file of the file that the signature is of, in pieces that are the caller's.
 * @param target whose pieces are only read, before the next is asked for
 * @throws VarveError `SIGNATURE_LIMIT` for blocks of more than 128 MiB; what the target throws; the signal's reason
 */
export async function* writeSignatureDelta(
  signature: Signature,
  target: AsyncIterable<Uint8Array>,
  options: SignatureDeltaOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal, onCounts } = options;
  const writer = new DeltaWriter();
  const blocks = new BlockMatcher(signature, writer);
  for await (const chunk of target) {
    for (let at = 0; at < chunk.length;) {
      at += blocks.take(chunk.subarray(at));
      if (!blocks.isFull) continue;
      blocks.match();
      yield* writer.take();
      signal?.throwIfAborted();
      // Nothing else may have waited for anything.
      await turn();
    }
  }
  blocks.matchLast();
  writer.end();
  yield* writer.take();
  onCounts?.(writer.counts);
}

class BlockMatcher {
  readonly #blockBytes: number;
  readonly #blocks: number;
  readonly #index: SignatureIndex;
  readonly #weak: WeakSum;
  readonly #strong: StrongSum;
  readonly #strongBytes: number;
  readonly #sum = new Uint8Array(32);
  readonly #writer: DeltaWriter;
  /** Grows up to one block and as much again, or 1 MiB. */
  #bytes = new Uint8Array(LEAST_ROOM);
  readonly #most: number;
  /** Bytes before the first are written; the weak sum is of those from the second to the third; the last is behind what is there. */
  #written = 0;
  #from = 0;
  #to = 0;
  #end = 0;
  /** The block behind the last one that was copied. */
  #next = 0;

  constructor(signature: Signature, writer: DeltaWriter) {
    const { blockBytes, blocks, weak, strong, strongBytes } = signature;
    if (blockBytes > LARGEST_WINDOW && blocks > 0) {
      throw new VarveError("SIGNATURE_LIMIT", `the signature's blocks have ${blockBytes} bytes`, {
        hint: "make it with smaller blocks: varve rdiff signature --block-size",
      });
    }
    this.#blockBytes = blockBytes;
    this.#blocks = blocks;
    this.#most = blocks === 0 ? LEAST_ROOM : blockBytes + Math.max(LEAST_ROOM, blockBytes);
    this.#index = new SignatureIndex(signature);
    this.#weak = weakSum(weak);
    this.#strong = strongSum(strong);
    this.#strongBytes = strongBytes;
    this.#writer = writer;
  }

  get isFull(): boolean {
    return this.#end === this.#most;
  }

  /** Takes what there is room for, and says how much that was. */
  take(bytes: Uint8Array): number {
    const some = bytes.subarray(0, this.#most - this.#end);
    const needed = this.#end + some.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(this.#most, Math.max(needed, 2 * this.#bytes.length)));
      grown.set(this.#bytes.subarray(0, this.#end));
      this.#bytes = grown;
    }
    this.#bytes.set(some, this.#end);
    this.#end = needed;
    return some.length;
  }

  /** Looks for whole blocks in what is there, and makes room. */
  match(): void {
    if (this.#blocks === 0) this.#from = this.#to = this.#end;
    while (this.#fill()) {
      if (this.#tryBlock()) continue;
      if (this.#to === this.#end) break;
      const rolled = this.#weak.roll(this.#bytes, this.#from, this.#to, this.#end, this.#index.filter);
      this.#from += rolled;
      this.#to += rolled;
    }
    this.#writeLiterals(this.#from);
    this.#bytes.copyWithin(0, this.#from, this.#end);
    this.#to -= this.#from;
    this.#end -= this.#from;
    this.#from = this.#written = 0;
  }

  /** At the new file's end the window becomes shorter and shorter: the base's last block may be no whole one. */
  matchLast(): void {
    this.match();
    this.#weak.update(this.#bytes, this.#to, this.#end);
    this.#to = this.#end;
    while (this.#blocks > 0 && this.#from < this.#to) {
      if (this.#tryBlock()) break;
      this.#weak.drop(this.#bytes[this.#from++]!);
    }
    this.#writeLiterals(this.#end);
  }

  /** Makes the window a whole block; false when there is not enough for it. */
  #fill(): boolean {
    const to = this.#from + this.#blockBytes;
    if (to > this.#end || this.#blocks === 0) return false;
    if (this.#to < to) {
      this.#weak.update(this.#bytes, this.#to, to);
      this.#to = to;
    }
    return true;
  }

  /**
   * Copies the block that the window is, if it is one, and says whether it was. Where several are the same, it is the one that continues the last
   * copy, so that runs of equal blocks are one copy.
   */
  #tryBlock(): boolean {
    const weak = this.#weak.value;
    if (!this.#index.hasWeak(weak)) return false;
    this.#strong.update(this.#bytes.subarray(this.#from, this.#to));
    this.#strong.finish(this.#sum, 0, this.#strongBytes);
    const isShort = this.#to - this.#from < this.#blockBytes;
    // Only the last block can be shorter than the others.
    const expected = isShort ? this.#blocks - 1 : this.#next;
    if (this.#index.isBlock(expected, weak, this.#sum)) return this.#copy(expected);
    if (isShort) return false;
    const found = this.#index.find(weak, this.#sum);
    return found !== undefined && this.#copy(found);
  }

  #copy(block: number): true {
    this.#writeLiterals(this.#from);
    this.#writer.copy(block * this.#blockBytes, this.#to - this.#from);
    this.#next = block + 1;
    this.#from = this.#written = this.#to;
    this.#weak.reset();
    return true;
  }

  #writeLiterals(to: number): void {
    if (to > this.#written) this.#writer.literal(this.#bytes.subarray(this.#written, to));
    this.#written = to;
  }
}
