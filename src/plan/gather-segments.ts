/**
 * Puts short pieces of a stream together into `data` segments, because a segment for each would cost more than the piece; leaves long ones that lie in
 * files to whoever copies files; and says of what is held only that it is.
 */
import type { SeekableTar } from "../layer/seekable/seekable-tar.ts";
import type { Segment } from "../recipe/segment.ts";
import type { RangeSet } from "../store/range-set.ts";

const DATA_BYTES = 1 << 20;

export class SegmentGatherer {
  readonly #held: RangeSet | undefined;
  /** Bytes of the target that were told or are gathered. */
  #position = 0;
  #bytes: Buffer | undefined;
  #used = 0;
  #local = 0;
  #skipped = 0;
  readonly #ready: Segment[] = [];

  constructor(held?: RangeSet) {
    this.#held = held;
  }

  /** How many of the next bytes, of so many that could be made, are held: they are taken as made. */
  skip(length: number): number {
    if (this.#held === undefined) return 0;
    const bytes = Math.min(length, this.#held.contiguousEnd(this.#position) - this.#position);
    if (bytes <= 0) return 0;
    if (this.#used > 0) this.#endData();
    this.#skipped += bytes;
    this.#position += bytes;
    return bytes;
  }

  /** Room for some of the next bytes, at least one, none of which is held: to be filled with what was read from here before anything else is called. */
  take(length: number): Uint8Array {
    const into = this.#room(length);
    this.#local += into.length;
    return into;
  }

  /** What can be told by now. */
  *full(): Generator<Segment, void, undefined> {
    if (this.#used === DATA_BYTES) this.#endData();
    if (this.#ready.length > 0) yield* this.#ready.splice(0);
  }

  /** Bytes `[from, to)`, which are copied. */
  *put(bytes: Uint8Array, from: number, to: number): Generator<Segment, void, undefined> {
    for (let at = from; at < to;) {
      const skipped = this.skip(to - at);
      if (skipped > 0) {
        at += skipped;
        continue;
      }
      const into = this.#room(to - at);
      into.set(bytes.subarray(at, at + into.length));
      at += into.length;
      yield* this.full();
    }
  }

  /** Bytes of a tar, from the files in which they lie. */
  *parts(tar: SeekableTar, start: number, length: number): Generator<Segment, void, undefined> {
    for (let at = 0; at < length;) {
      const skipped = this.skip(length - at);
      if (skipped > 0) {
        at += skipped;
        continue;
      }
      const until = Math.min(length - at, this.#missing(length - at));
      this.#endData();
      yield* this.full();
      for (const part of tar.parts(start + at, until)) {
        if (part.kind === "data") yield { kind: "data", bytes: part.bytes, local: part.bytes.length };
        else yield { kind: "local", path: part.path, start: part.start, length: part.length };
      }
      this.#position += until;
      at += until;
    }
  }

  *end(): Generator<Segment, void, undefined> {
    this.#endData();
    this.#endHeld();
    yield* this.full();
  }

  #room(length: number): Uint8Array {
    this.#endHeld();
    this.#bytes ??= Buffer.allocUnsafeSlow(DATA_BYTES);
    const bytes = Math.min(length, DATA_BYTES - this.#used, this.#missing(length));
    this.#used += bytes;
    this.#position += bytes;
    return this.#bytes.subarray(this.#used - bytes, this.#used);
  }

  /** How many of the next bytes are not held. */
  #missing(length: number): number {
    if (this.#held === undefined) return length;
    const [next] = this.#held.within(this.#position, this.#position + length);
    return next === undefined ? length : next.start - this.#position;
  }

  #endData(): void {
    this.#endHeld();
    if (this.#used === 0 || this.#bytes === undefined) return;
    const bytes = this.#bytes.subarray(0, this.#used);
    this.#ready.push(this.#local > 0 ? { kind: "data", bytes, local: this.#local } : { kind: "data", bytes });
    this.#bytes = undefined;
    this.#used = 0;
    this.#local = 0;
  }

  #endHeld(): void {
    if (this.#skipped > 0) this.#ready.push({ kind: "held", length: this.#skipped });
    this.#skipped = 0;
  }
}
