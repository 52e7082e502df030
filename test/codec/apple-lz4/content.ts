/** Content that brings out what LZ4 can do: words, runs, short periods, noise, and all of it again from far back. */
import * as fc from "fast-check";
import { randomFrom } from "../mutate.ts";

/** The same for the same seed: pieces of new kinds, and pieces of what came before. */
export function mixedContent(bytes: number, seed: number): Buffer {
  const random = randomFrom(seed);
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes;) {
    const length = Math.min(bytes - at, 1 + (random(4) === 0 ? random(9000) : random(40)));
    const kind = random(8);
    if (kind < 4 && at > 0) {
      const start = at - 1 - random(Math.min(at, random(2) === 0 ? 70_000 : 300));
      for (let n = 0; n < length; n++) content[at + n] = content[start + n]!;
    } else if (kind === 4) content.fill(random(3), at, at + length);
    else {
      const most = kind === 5 ? 256 : 6;
      for (let n = 0; n < Math.min(length, 400); n++) content[at + n] = random(most);
    }
    at += kind < 5 ? length : Math.min(length, 400);
  }
  return content;
}

export const anyContent: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.tuple(fc.nat({ max: 200_000 }), fc.nat()).map(([bytes, seed]) => mixedContent(bytes, seed)),
  fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat({ max: 140_000 })).map(([period, bytes]) => {
    return Buffer.alloc(bytes, period);
  }),
);

/** The bytes in pieces of the lengths, over and over. */
export function* inPieces(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array, void, undefined> {
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const length = Math.max(1, lengths[n % lengths.length] ?? bytes.length);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

export const pieceLengths: fc.Arbitrary<number[]> = fc.oneof(
  fc.constant<number[]>([1 << 30]),
  fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 5 }),
  fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 }),
);
