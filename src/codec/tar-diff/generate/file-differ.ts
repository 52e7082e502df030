/**
 * Tells a new file by an old one as bsdiff does: matches that are exact are found, made longer to both sides over bytes that differ, and what differs is
 * told as differences, which are mostly zeros. Files larger than the windows are compared window by window, each with the part of the old file
 * around where the last match was: what moved farther than half the old window is not found.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { TarDiffWriter } from "../op-writer.ts";
import { MatchMemory, type WindowSizes } from "./match-memory.ts";
import { FOUND_AT, FOUND_LENGTH } from "./seed-programs.ts";
import type { ReadAhead } from "./read-ahead.ts";
import type { TarFile } from "./tar-files.ts";

/**
 * So many bytes that are the same are copied, fewer are differences of zero. Of two releases of a large program the delta is 1, 1.01, 1.04 and 1.05 times
 * as large with 8, 16, 32 and 64.
 */
const LEAST_COPY = 8;

export interface TwoFiles {
  readonly base: ReadAhead;
  readonly old: TarFile;
  readonly target: ReadAhead;
  readonly fresh: TarFile;
}

/** A part of a file. */
interface Span {
  readonly start: number;
  readonly size: number;
}

export class FileDiffer {
  readonly #memory: MatchMemory;

  /** @param memory bytes */
  constructor(memory: number) {
    this.#memory = new MatchMemory(memory);
  }

  /** Writes what makes the new file, window by window. @throws what the tars throw; the signal's reason */
  async *write(
    files: TwoFiles,
    writer: TarDiffWriter,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { base, old, target, fresh } = files;
    const { sizes } = this.#memory;
    writer.open(old.path);
    let loaded: Span = { start: 0, size: 0 };
    let drift = 0;
    for (let start = 0; start < fresh.size;) {
      signal?.throwIfAborted();
      const size = Math.min(sizes.fresh, fresh.size - start);
      const span = oldSpan(old.size, { start, size }, drift, sizes);
      if (span.start !== loaded.start || span.size !== loaded.size) {
        await base.read(this.#memory.prepare(span.size), old.start + span.start);
        this.#memory.index();
        loaded = span;
      }
      const at = this.#memory.fresh;
      await target.read(this.#memory.bytes.subarray(at, at + size), fresh.start + start);
      drift = span.start - start + this.#window(size, start + drift - span.start, span.start, writer);
      yield* writer.take();
      // Whoever shares the thread waits no longer than for one window.
      await turn();
      start += size;
    }
  }

  /**
   * The loop of bsdiff over one window.
   * @param expected where in the old window its first byte is likely to be
   * @param origin where in the old file the old window begins
   * @returns where in the old window the last match would begin, were it as long as the new window
   */
  #window(size: number, expected: number, origin: number, writer: TarDiffWriter): number {
    const memory = this.#memory;
    const { old, oldEnd, fresh, words } = memory;
    const end = fresh + size;
    /** What is not told begins here, and would be this in the old window. */
    let last = fresh;
    let lastOld = Math.min(oldEnd, Math.max(old, old + expected));
    let at = fresh;
    for (;;) {
      const offset = lastOld - last;
      const { spacing, heads, nexts, shift } = memory;
      at = memory.find(at, end, old, oldEnd, offset | 0, spacing, heads, nexts, shift) >>> 0;
      const isFound = at < end;
      const found = words[FOUND_AT / 4]!;
      let forwards = memory.forwards(last, lastOld, Math.min(at - last, oldEnd - lastOld));
      let backwards = isFound ? memory.backwards(at, found, Math.min(at - last, found - old)) : 0;
      const overlap = last + forwards - (at - backwards);
      if (overlap > 0) {
        const fromFirst = last + forwards - overlap;
        const share = memory.divide(fromFirst, lastOld + forwards - overlap, found - backwards, overlap);
        forwards += share - overlap;
        backwards -= share;
      }
      if (forwards > 0) this.#writeAlike(last, lastOld, forwards, origin, writer);
      const next = at - backwards;
      writer.data(memory.bytes.subarray(last + forwards, next));
      if (!isFound) return lastOld - last + fresh - old;
      last = next;
      lastOld = found - backwards;
      at += words[FOUND_LENGTH / 4]!;
    }
  }

  /** Bytes that the old file has, or nearly. What is new of them goes. */
  #writeAlike(fresh: number, old: number, length: number, origin: number, writer: TarDiffWriter): void {
    const memory = this.#memory;
    const end = fresh + length;
    /** From addresses of the new window to places in the old file. */
    const toOld = old - memory.old + origin - fresh;
    memory.subtract(fresh, old, length);
    const least = memory.skipZeros(fresh, end) === end ? 1 : LEAST_COPY;
    for (let at = fresh; at < end;) {
      const zeros = memory.findZeros(at, end, least);
      if (zeros > at) writer.add(at + toOld, memory.bytes.subarray(at, zeros));
      at = memory.skipZeros(zeros, end);
      writer.copy(zeros + toOld, at - zeros);
    }
  }
}

/** The part of the old file that a part of the new one is compared with. */
function oldSpan(oldSize: number, fresh: Span, drift: number, sizes: WindowSizes): Span {
  const size = Math.min(oldSize, sizes.old);
  const margin = Math.floor((sizes.old - sizes.fresh) / 2);
  const start = Math.min(oldSize - size, Math.max(0, fresh.start + drift - margin));
  return { start, size };
}
