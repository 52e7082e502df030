/**
 * Writes one contiguous stretch of the target: joins small chunks into writes of a buffer each, verifies pieces whose
 * digest is known, and keeps one write going while the next buffer fills.
 *
 * A piece becomes part of the contiguous front only when it is verified. One that fits a buffer waits there for its end.
 * Of a longer one everything but its first buffer is written at once; the first follows when the digest is right. So
 * whatever a crash leaves of an unverified piece has a gap at its start, readers of the front never see it, and nothing
 * needs to be taken back.
 */
import { VarveError } from "../errors/varve-error.ts";
import { digestAlgorithm, Digester, digestOf, type Digest } from "../oci/digest.ts";
import type { WriteOptions } from "../store/types.ts";
import type { ByteCounts } from "./bytes.ts";

/** Where the bytes of a write came from; `held` ones were there before and are written again. */
export type WrittenCounts = Omit<ByteCounts, "network"> & { remote: number; held: number };

/** Takes whole buffers at their position. A rejection is the end of the assembly. */
export interface PieceSink {
  write(
    position: number,
    bytes: Uint8Array,
    counts: Readonly<WrittenCounts>,
    options: Readonly<WriteOptions>,
  ): Promise<void>;
  writeZeros(position: number, length: number): Promise<void>;
  /** Told of pieces that are right, before all of their bytes are written. */
  verified?(position: number, length: number, digest: Digest): void;
}

/** Shorter runs of zeros cannot be holes on common file systems and are cheaper as bytes. */
const MIN_HOLE = 4096;
const NOTHING = new Uint8Array(MIN_HOLE);

interface Filled {
  readonly buffer: Uint8Array;
  readonly position: number;
  readonly inPlace: boolean;
  length: number;
  counts: WrittenCounts;
}

interface OpenPiece {
  readonly position: number;
  readonly digester: Digester;
  readonly expected: Digest;
  /** Of a long piece: its first buffer goes last. `undefined` for a piece that fits the current buffer. */
  readonly first?: { filled?: Filled };
  readonly keep: { length: number; counts: WrittenCounts };
}

export class PieceWriter {
  readonly #sink: PieceSink;
  readonly #free: Uint8Array[];
  readonly #writing = new Set<Promise<void>>();
  #position: number;
  #current: Filled | undefined;
  #kind: keyof WrittenCounts = "data";
  #inPlace = false;
  #piece: OpenPiece | undefined;
  #failure: { error: unknown } | undefined;

  /** @param buffers at least three of one size; they belong to the writer until `flush` or `salvage` has settled */
  constructor(sink: PieceSink, buffers: readonly Uint8Array[], position: number) {
    this.#sink = sink;
    this.#free = [...buffers];
    this.#position = position;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#position;
  }

  /** What the bytes that follow are counted as. */
  kind(kind: keyof WrittenCounts): void {
    this.#kind = kind;
  }

  /**
   * Whether the bytes that follow were read from where they go. Only outside of pieces, or in one that is longer than a
   * buffer.
   */
  inPlace(inPlace: boolean): void {
    this.#inPlace = inPlace;
    const current = this.#current;
    if (current === undefined || current.inPlace === inPlace) return;
    if (current.length > 0) return this.#full(current);
    this.#current = undefined;
    this.#free.push(current.buffer);
  }

  /** The bytes that follow, `length` of them, are a piece of this digest. */
  async beginPiece(expected: Digest, length: number): Promise<void> {
    const { buffer, length: used } = await this.#buffer();
    const fits = used + length <= buffer.length;
    if (!fits) this.#submit();
    const current = await this.#buffer();
    const keep = { length: current.length, counts: { ...current.counts } };
    const digester = new Digester(digestAlgorithm(expected));
    const piece = { position: this.#position, digester, expected, keep };
    this.#piece = length > buffer.length ? { ...piece, first: {} } : piece;
  }

  /** @throws VarveError `DIGEST_MISMATCH`; the piece is then not part of the target, and the writer is of no more use */
  async endPiece(): Promise<void> {
    const piece = this.#piece;
    if (piece === undefined) return;
    const computed = piece.digester.digest();
    if (computed !== piece.expected) {
      this.#dropPiece();
      throw mismatch(piece.expected, computed);
    }
    this.#piece = undefined;
    this.#sink.verified?.(piece.position, this.#position - piece.position, computed);
    if (piece.first?.filled !== undefined) {
      await this.flush();
      this.#start(piece.first.filled);
    } else if (this.#current?.length === this.#current?.buffer.length) {
      this.#submit();
    }
  }

  /** Whether {@link putWhole} would put so many bytes. */
  hasRoomFor(length: number): boolean {
    const current = this.#current;
    return this.#piece === undefined && current !== undefined && current.length + length < current.buffer.length;
  }

  /**
   * A piece that is whole in memory already, without waiting for anything, and with one call for its digest: what that saves is
   * most of what a small piece costs.
   * @returns false, with nothing changed, when it would fill the current buffer
   * @throws VarveError `DIGEST_MISMATCH`; nothing has changed then either
   */
  putWhole(kind: keyof WrittenCounts, bytes: Uint8Array, expected?: Digest): boolean {
    if (!this.hasRoomFor(bytes.length)) return false;
    if (expected !== undefined) {
      const computed = digestOf(bytes, digestAlgorithm(expected));
      if (computed !== expected) throw mismatch(expected, computed);
    }
    const current = this.#current!;
    current.buffer.set(bytes, current.length);
    current.length += bytes.length;
    current.counts[kind] += bytes.length;
    this.#position += bytes.length;
    return true;
  }

  /** Free space of at least one byte for the next bytes; fill some of it and say so with `advance`. */
  async room(): Promise<Uint8Array> {
    const { buffer, length } = this.#current ?? (await this.#buffer());
    return buffer.subarray(length);
  }

  /** The first `count` bytes of the last `room` are filled. */
  advance(count: number): void {
    const current = this.#current;
    if (current === undefined) throw new VarveError("INTERNAL", "advance without room");
    const end = current.length + count;
    this.#piece?.digester.update(current.buffer.subarray(current.length, end));
    current.length = end;
    current.counts[this.#kind] += count;
    this.#position += count;
    if (end === current.buffer.length) this.#full(current);
  }

  async put(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      const room = await this.room();
      const count = Math.min(room.length, rest.length);
      room.set(count === rest.length ? rest : rest.subarray(0, count));
      this.advance(count);
      rest = rest.subarray(count);
    }
  }

  /** A run of zeros, as a hole when it is long enough. Not inside a piece. */
  async zeros(length: number): Promise<void> {
    this.#kind = "zero";
    if (length < MIN_HOLE) return this.put(NOTHING.subarray(0, length));
    this.#submit();
    await this.#sink.writeZeros(this.#position, length);
    this.#position += length;
  }

  /** Everything so far is written when this settles. */
  async flush(): Promise<void> {
    this.#submit();
    await Promise.all(this.#writing);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /**
   * After a failure: writes what is good of what is here, and settles when nothing is under way. Never throws.
   * @param doubtful nobody can tell what is good: what is not written yet is not written
   */
  async salvage({ doubtful = false } = {}): Promise<void> {
    if (this.#piece !== undefined) this.#dropPiece();
    if (this.#failure === undefined && !doubtful) this.#submit();
    await Promise.all(this.#writing);
  }

  #dropPiece(): void {
    const piece = this.#piece;
    this.#piece = undefined;
    if (piece === undefined || this.#current === undefined) return;
    if (piece.first === undefined) {
      this.#current.length = piece.keep.length;
      this.#current.counts = piece.keep.counts;
    } else {
      // Its first buffer has not been written, and the last is not worth it: the piece will be fetched again.
      this.#current = undefined;
    }
  }

  /** The current buffer takes no more: it is written, unless a piece begins or ends in it. */
  #full(current: Filled): void {
    const piece = this.#piece;
    if (piece !== undefined && piece.first === undefined) return;
    if (piece?.first === undefined || piece.first.filled !== undefined) return this.#submit();
    piece.first.filled = current;
    this.#current = undefined;
  }

  async #buffer(): Promise<Filled> {
    while (this.#current === undefined) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const buffer = this.#free.pop();
      if (buffer === undefined) await Promise.race(this.#writing);
      else {
        const at = { buffer, position: this.#position, inPlace: this.#inPlace };
        this.#current = { ...at, length: 0, counts: nothingWritten() };
      }
    }
    return this.#current;
  }

  #submit(): void {
    const current = this.#current;
    if (current === undefined || current.length === 0) return;
    this.#current = undefined;
    this.#start(current);
  }

  #start({ buffer, position, length, counts, inPlace }: Filled): void {
    const writing = this.#sink.write(position, buffer.subarray(0, length), counts, { inPlace }).then(
      () => void this.#free.push(buffer),
      (error: unknown) => void (this.#failure ??= { error }),
    );
    this.#writing.add(writing);
    void writing.then(() => this.#writing.delete(writing));
  }
}

function mismatch(expected: Digest, computed: Digest): VarveError {
  return new VarveError("DIGEST_MISMATCH", `a piece of digest ${expected} came out as ${computed}`, {
    detail: { expected, computed },
  });
}

function nothingWritten(): WrittenCounts {
  return { remote: 0, local: 0, data: 0, zero: 0, held: 0 };
}
