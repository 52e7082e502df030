/** The tars of an image's layers, one after the other as they are: what librsync deltas between images copy from (formats "balena-delta"). */
import type { SeekableTar, TarPart } from "./seekable-tar.ts";
import { findStart } from "./starts.ts";

/** Several tars as one. */
export interface TarsAsOne extends SeekableTar {
  /** Bottom to top. */
  readonly tars: readonly SeekableTar[];
}

/** @param tars bottom to top, one of them several times if need be; they go when this is disposed of */
export function concatTars(tars: readonly SeekableTar[]): TarsAsOne {
  return new ConcatTar(tars);
}

class ConcatTar implements TarsAsOne {
  readonly size: number;
  readonly tars: readonly SeekableTar[];
  readonly #starts: Float64Array;

  constructor(tars: readonly SeekableTar[]) {
    this.tars = tars;
    this.#starts = new Float64Array(tars.length);
    let size = 0;
    for (const [at, tar] of tars.entries()) {
      this.#starts[at] = size;
      size += tar.size;
    }
    this.size = size;
  }

  async read(into: Uint8Array, position: number): Promise<void> {
    const reads: Promise<void>[] = [];
    for (const { tar, start, length, at } of this.#stretches(position, into.length)) {
      reads.push(tar.read(at === 0 && length === into.length ? into : into.subarray(at, at + length), start));
    }
    // All of them, for what is read into belongs to the caller again afterwards.
    const failed = (await Promise.allSettled(reads)).find((read) => read.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  *parts(start: number, length: number): Generator<TarPart> {
    for (const stretch of this.#stretches(start, length)) yield* stretch.tar.parts(stretch.start, stretch.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using all = new AsyncDisposableStack();
    for (const tar of new Set(this.tars)) all.use(tar);
  }

  /** The stretches of the tars that the range consists of, and where in it each begins. */
  *#stretches(
    position: number,
    length: number,
  ): Generator<{ readonly tar: SeekableTar; readonly start: number; readonly length: number; readonly at: number }> {
    let number = length === 0 ? this.tars.length : findStart(this.#starts, this.tars.length, position);
    for (let at = 0; at < length; number++) {
      const tar = this.tars[number];
      if (tar === undefined) throw new RangeError(`bytes ${position}+${length} of ${this.size} were asked for`);
      const start = position + at - (this.#starts[number] ?? 0);
      const part = Math.min(length - at, tar.size - start);
      if (part <= 0) continue;
      yield { tar, start, length: part, at };
      at += part;
    }
  }
}
