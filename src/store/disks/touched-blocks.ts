/**
 * Which blocks of a disk's file may hold something else than the zeros that it was made of: those need to be punched, the others are holes. A
 * bit for each block of 4 KiB, in pages that are made where something was written: 32 KiB of memory for each GiB of data.
 */
import { HOLE_BLOCK } from "../../codec/zero-runs.ts";
import type { ByteRange } from "../types.ts";

const PAGE_BLOCKS = 1 << 14;

export class TouchedBlocks {
  readonly #all: boolean;
  readonly #pages = new Map<number, Uint8Array>();

  /** @param all nobody knows what is there, so everything counts as touched */
  constructor(all: boolean) {
    this.#all = all;
  }

  /** Adds the blocks that `[start, end)` lies in. */
  add(start: number, end: number): void {
    if (this.#all || end <= start) return;
    const last = Math.floor((end - 1) / HOLE_BLOCK);
    for (let block = Math.floor(start / HOLE_BLOCK); block <= last; block++) {
      const number = Math.floor(block / PAGE_BLOCKS);
      let page = this.#pages.get(number);
      if (page === undefined) this.#pages.set(number, (page = new Uint8Array(PAGE_BLOCKS >>> 3)));
      const bit = block % PAGE_BLOCKS;
      page[bit >>> 3]! |= 1 << (bit & 7);
    }
  }

  /** The parts of `[start, end)` that may hold something, ascending and apart. */
  *within(start: number, end: number): Generator<ByteRange> {
    if (this.#all) {
      if (start < end) yield { start, end };
      return;
    }
    let open: number | undefined;
    for (let at = start; at < end;) {
      const block = Math.floor(at / HOLE_BLOCK);
      const page = this.#pages.get(Math.floor(block / PAGE_BLOCKS));
      const next = page === undefined ? (Math.floor(block / PAGE_BLOCKS) + 1) * PAGE_BLOCKS : block + 1;
      const bit = block % PAGE_BLOCKS;
      const isTouched = page !== undefined && (page[bit >>> 3]! & (1 << (bit & 7))) !== 0;
      if (isTouched) open ??= at;
      else if (open !== undefined) {
        yield { start: open, end: at };
        open = undefined;
      }
      at = Math.min(end, next * HOLE_BLOCK);
    }
    if (open !== undefined) yield { start: open, end };
  }
}
