/**
 * Makes segments of what a delta says: long copies are segments of their own, so that files can be shared; what is short is put together, because a
 * segment for each would cost more than the copy.
 */
import { BaseCopier } from "../codec/librsync/base-copier.ts";
import type { SeekableTar } from "../layer/seekable/seekable-tar.ts";
import type { Segment } from "../recipe/segment.ts";
import { DataRun } from "./data-run.ts";

/** Longer pieces of files are read by the assembler, and shared where that can be. */
const LONG_BYTES = 64 << 10;

export class SegmentMaker {
  readonly run = new DataRun();
  readonly #base: SeekableTar;
  readonly #copier: BaseCopier;
  readonly #signal: AbortSignal | undefined;

  constructor(base: SeekableTar, signal: AbortSignal | undefined) {
    this.#base = base;
    this.#copier = new BaseCopier(base);
    this.#signal = signal;
  }

  /** Most of what a delta says is short, and need not be waited for: a literal, or a copy from a page that is there. */
  makeAtOnce(literal: Uint8Array | undefined, start: number, length: number): boolean {
    const { run } = this;
    if (literal !== undefined) return run.putAtOnce(literal, start, start + length);
    if (length > LONG_BYTES || !this.#copier.copyAtOnce(start, length, run)) return false;
    run.countLocal(length);
    return true;
  }

  /** As many bytes of the base as differences, to which these are added; `false` where that has to be waited for. */
  addAtOnce(differences: Uint8Array, from: number, start: number, length: number): boolean {
    const { run } = this;
    if (!this.#copier.copyAtOnce(start, length, run)) return false;
    run.countLocal(length);
    run.addToLast(differences, from, length);
    return true;
  }

  async *add(
    differences: Uint8Array,
    from: number,
    start: number,
    length: number,
  ): AsyncGenerator<Segment, void, undefined> {
    const { run } = this;
    for (let at = 0; at < length;) {
      // What is full is given out, and differences come to what is not.
      if (run.room === 1) yield* run.rest();
      const some = Math.min(length - at, run.room - 1);
      if (!this.addAtOnce(differences, from + at, start + at, some)) {
        yield* this.#copier.copy(start + at, some, run, this.#signal);
        run.addToLast(differences, from + at, some);
      }
      at += some;
    }
  }

  async *copy(start: number, length: number): AsyncGenerator<Segment, void, undefined> {
    if (length <= LONG_BYTES) return yield* this.#copier.copy(start, length, this.run, this.#signal);
    let at = start;
    let told = start;
    for (const part of this.#base.parts(start, length)) {
      const size = part.kind === "file" ? part.length : part.bytes.length;
      if (part.kind === "file" && size > LONG_BYTES) {
        if (at > told) yield* this.#copier.copy(told, at - told, this.run, this.#signal);
        yield* this.run.rest();
        yield { kind: "local", path: part.path, start: part.start, length: size };
        told = at + size;
      }
      at += size;
    }
    if (at > told) yield* this.#copier.copy(told, at - told, this.run, this.#signal);
  }
}
