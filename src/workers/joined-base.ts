/** Tars one after the other, each read in its own way. */
import type { Base } from "../codec/librsync/base.ts";
import { findStart } from "../layer/seekable/starts.ts";

export class JoinedBase implements Base, Disposable {
  readonly size: number;
  readonly #bases: readonly (Base & Disposable)[];
  readonly #starts: Float64Array;

  /** They go with this. */
  constructor(bases: readonly (Base & Disposable)[]) {
    this.#bases = bases;
    this.#starts = new Float64Array(bases.length);
    let size = 0;
    for (const [index, base] of bases.entries()) {
      this.#starts[index] = size;
      size += base.size;
    }
    this.size = size;
  }

  async read(into: Uint8Array, position: number): Promise<void> {
    for (let filled = 0; filled < into.length;) {
      const index = findStart(this.#starts, this.#bases.length, position + filled);
      const base = this.#bases[index]!;
      const within = position + filled - this.#starts[index]!;
      const length = Math.min(into.length - filled, base.size - within);
      await base.read(into.subarray(filled, filled + length), within);
      filled += length;
    }
  }

  [Symbol.dispose](): void {
    for (const base of this.#bases) base[Symbol.dispose]();
  }
}
