/** Puts small pieces of a target together into `data` segments, each with bytes of its own. */
import type { CopyOutput } from "../codec/librsync/patch-output.ts";
import type { DataSegment } from "../recipe/segment.ts";

const RUN_BYTES = 1 << 20;
/** Shorter ones are copied out, so that a few bytes between long pieces do not take a whole buffer with them. */
const WORTH_GIVING = RUN_BYTES / 4;

export class DataRun implements CopyOutput<DataSegment> {
  #bytes = new Uint8Array(RUN_BYTES);
  #used = 0;
  #local = 0;

  get room(): number {
    return RUN_BYTES - this.#used;
  }

  /** The next bytes, to be filled from the base; never more than there is room. */
  take(length: number): Uint8Array {
    this.#local += length;
    this.#used += length;
    return this.#bytes.subarray(this.#used - length, this.#used);
  }

  /** So many of the bytes that were put came from the base. */
  countLocal(length: number): void {
    this.#local += length;
  }

  putAtOnce(bytes: Uint8Array, from: number, to: number): boolean {
    const length = to - from;
    if (length >= RUN_BYTES - this.#used) return false;
    if (length <= 48) {
      // A loop takes less time than a call.
      const into = this.#bytes;
      for (let at = this.#used, source = from; source < to; at++, source++) into[at] = bytes[source]!;
    } else this.#bytes.set(bytes.subarray(from, to), this.#used);
    this.#used += length;
    return true;
  }

  /** Adds bytes to as many that were put last, of those that are still here. */
  addToLast(differences: Uint8Array, from: number, length: number): void {
    const into = this.#bytes;
    const end = from + length;
    for (let at = this.#used - length, source = from; source < end; at++, source++) into[at]! += differences[source]!;
  }

  *put(bytes: Uint8Array, from: number, to: number): Generator<DataSegment, void, undefined> {
    for (let at = from; at < to;) {
      const some = bytes.subarray(at, Math.min(to, at + this.room));
      this.#bytes.set(some, this.#used);
      this.#used += some.length;
      at += some.length;
      if (this.room === 0) yield* this.rest();
    }
  }

  /** What is there, if anything. It belongs to whoever takes it. */
  *rest(): Generator<DataSegment, void, undefined> {
    const used = this.#used;
    if (used === 0) return;
    const local = this.#local;
    const isGiven = used >= WORTH_GIVING;
    const bytes = isGiven ? this.#bytes.subarray(0, used) : this.#bytes.slice(0, used);
    if (isGiven) this.#bytes = new Uint8Array(RUN_BYTES);
    this.#used = this.#local = 0;
    yield { kind: "data", bytes, ...(local > 0 && { local }) };
  }
}
