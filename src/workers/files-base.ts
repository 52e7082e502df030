/**
 * A tar in files, for a thread that has nothing else to do than to look at it: reads that wait cost it nothing, and are a third of what those in the
 * background cost.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import type { Base } from "../codec/librsync/base.ts";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import { findStart } from "../layer/seekable/starts.ts";
import type { FilePart } from "./delta-messages.ts";

/** Bytes after which others have their turn: who wants to stop it says so in a message. */
const TURN_BYTES = 16 << 20;

export class FilesBase implements Base, Disposable {
  readonly size: number;
  readonly #parts: readonly FilePart[];
  readonly #starts: Float64Array;
  /** By path: those of open files (`/proc/self/fd`) are opened once more, whatever becomes of the other descriptor. */
  readonly #opened = new Map<string, number>();
  #sinceTurn = 0;

  /** @throws VarveError `FILE_NOT_FOUND`, `IO` ... */
  constructor(parts: readonly FilePart[], size: number) {
    this.size = size;
    this.#parts = parts;
    this.#starts = new Float64Array(parts.length);
    let start = 0;
    for (const [index, { path, length }] of parts.entries()) {
      this.#starts[index] = start;
      start += length;
      if (!this.#opened.has(path)) this.#opened.set(path, this.#open(path));
    }
  }

  async read(into: Uint8Array, position: number): Promise<void> {
    this.#sinceTurn += into.length;
    if (this.#sinceTurn > TURN_BYTES) {
      this.#sinceTurn = 0;
      await turn();
    }
    try {
      for (let filled = 0; filled < into.length;) {
        const index = findStart(this.#starts, this.#parts.length, position + filled);
        const { path, start, length } = this.#parts[index]!;
        const within = position + filled - this.#starts[index]!;
        const most = Math.min(into.length - filled, length - within);
        const count = readSync(this.#opened.get(path)!, into, filled, most, start + within);
        if (count === 0) throw new VarveError("SOURCE_CHANGED", "a layer became shorter while it was compared");
        filled += count;
      }
    } catch (error) {
      throw toVarveError(error, "reading a layer");
    }
  }

  [Symbol.dispose](): void {
    for (const file of this.#opened.values()) closeSync(file);
    this.#opened.clear();
  }

  #open(path: string): number {
    try {
      return openSync(path, "r");
    } catch (error) {
      this[Symbol.dispose]();
      throw toVarveError(error, "opening a layer");
    }
  }
}
