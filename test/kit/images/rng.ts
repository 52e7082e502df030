/** Randomness that a seed repeats: xoshiro128** seeded by SplitMix32. Not for secrets. */
export interface Rng {
  readonly seed: number;
  /** 0 ... below - 1 */
  int(below: number): number;
  /** low ... high, both included */
  between(low: number, high: number): number;
  /** True with this probability, 0 ... 1. */
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** Bytes that do not compress. */
  bytes(length: number): Buffer;
  /** Bytes that compress about as well as text. */
  text(length: number): Buffer;
  /** A generator of its own, so that more draws here change nothing there. */
  fork(): Rng;
}

const WORDS = "the layer of sediment laid down in one season moves only what changed between two shores ".repeat(46);

export function createRng(seed: number): Rng {
  const state = new Uint32Array(4);
  let mix = seed >>> 0;
  for (let index = 0; index < 4; index += 1) {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    state[index] = z ^ (z >>> 16);
  }
  const next = (): number => {
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const e = c ^ a;
    const f = d ^ b;
    state[1] = b ^ e;
    state[0] = a ^ f;
    state[2] = e ^ (b << 9);
    state[3] = rotate(f, 11);
    return result;
  };
  const rng: Rng = {
    seed,
    int: (below) => Math.floor((next() / 2 ** 32) * below),
    between: (low, high) => low + rng.int(high - low + 1),
    chance: (probability) => next() / 2 ** 32 < probability,
    pick: (items) => {
      const item = items[rng.int(items.length)];
      if (item === undefined) throw new Error("nothing to pick from");
      return item;
    },
    bytes: (length) => {
      const words = new Uint32Array(Math.ceil(length / 4));
      for (let index = 0; index < words.length; index += 1) words[index] = next();
      return Buffer.from(words.buffer, 0, length);
    },
    text: (length) => {
      const buffer = Buffer.allocUnsafe(length);
      for (let at = 0; at < length;) at += buffer.write(WORDS.slice(rng.int(2000), 2000 + rng.int(2000)) || " ", at);
      return buffer;
    },
    fork: () => createRng(next()),
  };
  return rng;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
