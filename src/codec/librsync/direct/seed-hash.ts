/** How seeds, the 16 bytes by which places in the base are found, come to their buckets: parts of programs in WebAssembly. */
import {
  add,
  and,
  anyBit,
  isZero,
  lanesEqual,
  lanesShiftRight,
  load128,
  load64,
  narrow,
  or,
  set,
  shiftLeft,
  shiftRight,
  spreadOut,
  sub,
  wide,
  wideEqual,
  wideMultiply,
  widen,
  wideRotateRight,
  wideShiftRight,
  wideXor,
  type Code,
  type Local,
} from "../../wasm/instructions.ts";

export const SEED_BYTES = 16;

/** What the memory begins with: what the programs tell, one entry of 8 bytes for each value of a byte, the table. */
export const FOUND_BUCKET = 0;
export const FOUND_TAG = 4;
export const RUN_BYTE = 16;
export const RUN_START = 20;
export const RUN_LENGTH = 24;
/** Stands for a bucket where the seed is a run that the base has: four slots with this tag. The other one is empty. */
export const RUN_BUCKET = 32;
export const RUN_TAG = 1;
export const NO_BUCKET = 48;
/** The longest run of each byte: the number of its first seed, and how many there are. */
export const RUNS = 64;
export const RUN_ENTRY_BYTES = 8;
/** How many seeds are hashed before they are looked for, and where address, bucket and tag are noted of each that may be there: a power of two. */
export const AHEAD = 64;
export const NOTES = RUNS + 256 * RUN_ENTRY_BYTES;
export const NOTE_SHIFT = 4;
export const TABLE = 4096;

/** Odd, and without a pattern. */
const FACTORS = [0x9e3779b97f4a7c15n, 0xbf58476d1ce4e5b9n, 0x94d049bb133111ebn].map((factor) => {
  return wide(BigInt.asIntN(64, factor));
}) as [Code, Code, Code];

export const SEED_WIDES = ["low", "high", "hash"] as const;
export type SeedLocals = Readonly<Record<(typeof SEED_WIDES)[number] | "bucket" | "tag", Local>>;

/** What a slot has in its lower bits, and what in its upper ones: known when the base's size is. */
export type TableShape = Readonly<Record<(typeof TABLE_SHAPE)[number], Local>>;
export const TABLE_SHAPE = ["bucketShift", "tagMask", "numberBits", "filterAt", "filterShift"] as const;

export function loadSeed(address: Local, { low, high }: SeedLocals): Code {
  return [...set(low, load64(address)), ...set(high, load64(address, 8))];
}

/** Whether all bytes of the loaded seed are the same. */
export function isRun({ low, high }: SeedLocals): Code {
  return and(wideEqual(low, high), wideEqual(low, wideRotateRight(low, wide(8n))));
}

/** Sets `bucket` and `tag` of the loaded seed. No tag is zero, because empty slots are. */
export function hashSeed(locals: SeedLocals, { bucketShift, tagMask }: TableShape): Code {
  const { low, high, hash, bucket, tag } = locals;
  const [first, second, third] = FACTORS;
  return [
    ...set(hash, wideMultiply(wideXor(wideMultiply(low, first), high), second)),
    ...set(hash, wideMultiply(wideXor(hash, wideShiftRight(hash, wide(32n))), third)),
    ...set(bucket, add(shiftLeft(narrow(wideShiftRight(hash, widen(bucketShift))), 4), TABLE)),
    ...set(tag, and(narrow(wideShiftRight(hash, wide(16n))), tagMask)),
    ...set(tag, or(tag, isZero(tag))),
  ];
}

/**
 * Where the filter's word for the bucket is: before the table, which is larger than any cache, a few bits for each bucket tell of most seeds that no
 * slot has them. Several buckets share a word where the table is large.
 */
export function filterWord({ bucket }: SeedLocals, { filterAt, filterShift }: TableShape): Code {
  return add(filterAt, shiftLeft(shiftRight(sub(bucket, TABLE), filterShift), 2));
}

/** Which of the word's 32 bits stands for the hashed seed. */
export function filterBit({ hash }: SeedLocals): Code {
  return narrow(wideShiftRight(hash, wide(36n)));
}

/** Whether a slot of the bucket has the tag: one comparison for all four. */
export function isTagged({ bucket, tag }: SeedLocals, { numberBits }: TableShape): Code {
  return anyBit(lanesEqual(lanesShiftRight(load128(bucket), numberBits), spreadOut(tag)));
}
