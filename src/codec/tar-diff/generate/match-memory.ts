/**
 * The one memory in which files are compared, and how it is divided: chains over the seeds of the old bytes, a window over the old file, and one over the
 * new. It is the same for files of any size. What small files do not touch takes no room.
 */
import { instantiate, memoryOf, type NumberFunction } from "../../wasm/module.ts";
import {
  backwardsProgram,
  divideProgram,
  findZerosProgram,
  forwardsProgram,
  skipZerosProgram,
  subtractProgram,
} from "./extend-programs.ts";
import { findProgram, insertProgram, SEED_BYTES } from "./seed-programs.ts";

/** Bytes for comparing files. */
export const DEFAULT_MEMORY = 200 << 20;
/** Less is of no use. */
const LEAST_MEMORY = 1 << 20;
/** What programs tell comes first. */
const TOLD_BYTES = 64;
/** Programs look at whole words, also behind the last byte. */
const SLACK = 64;
const MOST_HEAD_BITS = 24;

/** The largest windows, in bytes: of old and new files. */
export interface WindowSizes {
  readonly old: number;
  readonly fresh: number;
}

/** Of 9 parts the old window gets 2 and the new one 1; chains take 4 bytes for every second old one, and up to as much for where they begin. */
export function windowSizes(memory: number): WindowSizes {
  const part = Math.floor(Math.max(memory, LEAST_MEMORY) / 9);
  return { old: 2 * part, fresh: part };
}

export class MatchMemory {
  readonly sizes: WindowSizes;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Uint32Array<ArrayBuffer>;
  readonly insert: NumberFunction;
  readonly find: NumberFunction;
  readonly forwards: NumberFunction;
  readonly backwards: NumberFunction;
  readonly divide: NumberFunction;
  readonly subtract: NumberFunction;
  readonly findZeros: NumberFunction;
  readonly skipZeros: NumberFunction;
  /** Of the seeds that are indexed, each so many bytes behind the last; where chains begin, and go on; by how many bits hashes are shifted. */
  spacing = 1;
  heads = TOLD_BYTES;
  nexts = TOLD_BYTES;
  shift = 64;
  /** Where the old bytes are, and where they end. */
  old = TOLD_BYTES;
  oldEnd = TOLD_BYTES;
  /** Where new bytes are to be put. */
  fresh = TOLD_BYTES;

  constructor(memory: number) {
    this.sizes = windowSizes(memory);
    const { old, fresh } = this.sizes;
    const heads = 4 * 2 ** headBits(Math.ceil(old / 2));
    const all = memoryOf(TOLD_BYTES + heads + 2 * old + old + fresh + 4 * SLACK);
    this.bytes = new Uint8Array(all.buffer);
    this.words = new Uint32Array(all.buffer);
    this.insert = instantiate(insertProgram(), all);
    this.find = instantiate(findProgram(), all);
    this.forwards = instantiate(forwardsProgram(), all);
    this.backwards = instantiate(backwardsProgram(), all);
    this.divide = instantiate(divideProgram(), all);
    this.subtract = instantiate(subtractProgram(), all);
    this.findZeros = instantiate(findZerosProgram(), all);
    this.skipZeros = instantiate(skipZerosProgram(), all);
  }

  /** Divides the memory for so many old bytes, at most a window, and says where they are to be put. */
  prepare(oldBytes: number): Uint8Array {
    this.spacing = oldBytes <= this.sizes.old / 2 ? 1 : 2;
    const seeds = this.#seeds(oldBytes);
    const bits = headBits(seeds);
    this.shift = 64 - bits;
    this.nexts = this.heads + 4 * 2 ** bits;
    this.old = this.nexts + 4 * seeds + SLACK;
    this.oldEnd = this.old + oldBytes;
    this.fresh = this.oldEnd + SLACK;
    return this.bytes.subarray(this.old, this.oldEnd);
  }

  /** The old bytes are there. */
  index(): void {
    this.words.fill(0, this.heads / 4, this.nexts / 4);
    const seeds = this.#seeds(this.oldEnd - this.old);
    this.insert(this.old, seeds, this.spacing, this.heads, this.nexts, this.shift);
  }

  #seeds(oldBytes: number): number {
    return Math.max(0, Math.floor((oldBytes - SEED_BYTES) / this.spacing) + 1);
  }
}

/** About as many chains as seeds. */
function headBits(seeds: number): number {
  return Math.min(MOST_HEAD_BITS, Math.max(8, Math.ceil(Math.log2(seeds + 1))));
}
