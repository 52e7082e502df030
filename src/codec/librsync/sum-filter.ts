/**
 * Which weak sums may be in a signature: a bit for each of 16 times as many places as there are blocks, so that most bytes of a new file are
 * done with one look at memory that is small enough to stay near.
 */
const SPREAD = 0x9e37_79b1;
const BITS_PER_BLOCK = 16;
const MOST_BITS = 30;
const LEAST_BITS = 10;

export class SumFilter {
  readonly words: Uint32Array;
  /** A sum's bit is the product with {@link SumFilter.factor}, shifted to the right by so much. */
  readonly shift: number;
  readonly factor = SPREAD;

  constructor(blocks: number) {
    const bits = Math.min(MOST_BITS, Math.max(LEAST_BITS, Math.ceil(Math.log2(BITS_PER_BLOCK * blocks + 1))));
    this.words = new Uint32Array(2 ** (bits - 5));
    this.shift = 32 - bits;
  }

  add(sum: number): void {
    const bit = Math.imul(sum, SPREAD) >>> this.shift;
    this.words[bit >>> 5]! |= 1 << (bit & 31);
  }
}
