/**
 * How the memory of a direct comparison is divided, whatever the size of the base: seeds lie 16 bytes apart while the table has room for all of
 * them, then farther and farther; a base that fits is held whole, of a larger one the pages that were used lately.
 */
import { PAGE_BYTES } from "../base-pages.ts";
import { SEED_BYTES } from "./seed-hash.ts";

export interface MemoryPlan {
  /** Bytes from one seed of the base to the next. */
  readonly spacing: number;
  /** Of the table: buckets of four slots, 2^this. */
  readonly bucketBits: number;
  /** Of the filter before it: words, 2^this. */
  readonly filterBits: number;
  /** Bytes for pages of the base. */
  readonly pageBytes: number;
}

/** Bytes of a slot, in which the number of a seed is. */
const SLOT_BYTES = 4;
export const BUCKET_BYTES = 4 * SLOT_BYTES;
export const FILTER_WORD_BYTES = 4;
/** 2 MiB. With twice or half as much, files with nothing in common take a tenth more time; without it, a quarter. */
const MOST_FILTER_BITS = 19;
/** 320 MiB, so that the whole process stays below 500 MB. */
export const DEFAULT_MEMORY = 320 << 20;
const LEAST_BUCKET_BITS = 8;
/** As much as a table of 128 MiB is of 288. */
const TABLE_SHARE = 0.45;
/** Seeds for each slot. Buckets that are full cost a match now and then; a table twice as large costs more. */
const FULL = 0.9;

export function planMemory(baseBytes: number, memoryBytes: number): MemoryPlan {
  const seeds = baseBytes / SEED_BYTES;
  const wanted = Math.ceil(Math.log2(Math.max(1, seeds / FULL / 4)));
  const most = Math.floor(Math.log2((memoryBytes * TABLE_SHARE) / BUCKET_BYTES));
  const bucketBits = Math.max(LEAST_BUCKET_BITS, Math.min(wanted, most));
  const crowding = seeds / (FULL * 4 * 2 ** bucketBits);
  const filterBits = Math.min(bucketBits, MOST_FILTER_BITS);
  const left = memoryBytes - BUCKET_BYTES * 2 ** bucketBits - FILTER_WORD_BYTES * 2 ** filterBits;
  const pages = Math.max(1, Math.min(Math.ceil(baseBytes / PAGE_BYTES), Math.floor(left / PAGE_BYTES)));
  const spacing = SEED_BYTES * Math.max(1, Math.ceil(crowding));
  return { spacing, bucketBits, filterBits, pageBytes: pages * PAGE_BYTES };
}
