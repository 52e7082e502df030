/**
 * What a journal claims of a data file that an earlier process left, and the checking of it. Each piece is read and summed
 * again, from the front on, one after the other through one small buffer: reading gigabytes back takes seconds, and beside
 * them the rest may already be fetched. A piece that does not hold is missing like any other.
 */
import { timingSafeEqual } from "node:crypto";
import type { DataFile } from "./data-file.ts";
import type { Piece } from "./journal-format.ts";
import { PieceSum } from "./piece-sum.ts";
import { RangeSet } from "./range-set.ts";
import type { ByteRange, ClaimsOptions } from "./types.ts";

type Readable = Pick<DataFile, "read">;

const BUFFER_BYTES = 1024 * 1024;
const ZEROS = new Uint8Array(BUFFER_BYTES);

export interface Claimed {
  readonly file: Readable;
  readonly key: Uint8Array;
  /** In the order of the journal. */
  readonly pieces: readonly Piece[];
}

export class Claims {
  readonly #claimed: Claimed;
  /** Not found lost. */
  readonly #resumed: RangeSet;
  /** Not checked yet. */
  readonly #open: RangeSet;
  readonly #ended = new AbortController();
  /** Ranges that somebody waits for, in the order of asking. */
  #wanted: { readonly range: ByteRange; readonly settle: () => void }[] = [];

  constructor(claimed: Claimed) {
    this.#claimed = claimed;
    this.#resumed = new RangeSet(claimed.pieces);
    this.#open = new RangeSet(claimed.pieces);
  }

  /** What was claimed, less what was found lost. */
  get resumed(): ByteRange[] {
    return this.#resumed.toArray();
  }

  /** Claimed and not checked yet, ordered and merged. */
  get open(): ByteRange[] {
    return this.#open.toArray();
  }

  get isEmpty(): boolean {
    return this.#open.isEmpty;
  }

  /** Other bytes are written there, or were taken back: what is there is no longer what was claimed. */
  drop(start: number, end: number): void {
    this.#open.delete(start, end);
  }

  /** Has the range checked before the rest by the {@link check} that is under way. Settles when nothing of it is open, or the check ends. */
  async sooner(start: number, end: number): Promise<void> {
    if (!this.#open.overlaps(start, end)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wanted.push({ range: { start, end }, settle: resolve });
    await promise;
  }

  /**
   * Checks all, from the front on, but for what is wanted {@link sooner}.
   * @returns the pieces that hold, in the order of the journal; undefined when all do
   * @throws the signal's reason when it aborts, or what {@link end} was given; what is not checked then stays open
   */
  async check(options: ClaimsOptions): Promise<Piece[] | undefined> {
    try {
      return await this.#checkAll(options);
    } finally {
      for (const { settle } of this.#wanted) settle();
    }
  }

  /** Stops checking at the next mebibyte. */
  end(reason: Error): void {
    this.#ended.abort(reason);
  }

  async #checkAll({ signal, onHeld, onLost }: ClaimsOptions): Promise<Piece[] | undefined> {
    const { file, key, pieces } = this.#claimed;
    if (pieces.length === 0) return undefined;
    const ended = this.#ended.signal;
    const reading = { key, signal: signal === undefined ? ended : AbortSignal.any([signal, ended]) };
    const buffer = new Uint8Array(BUFFER_BYTES);
    const lost = new Set<Piece>();
    for (const piece of this.#inTurn(fromTheFront(pieces))) {
      if (!this.#open.overlaps(piece.start, piece.end)) continue;
      const held = await holds(file, piece, { ...reading, buffer });
      // Only what nobody has touched meanwhile: of the rest the claim says nothing any more.
      const settled = this.#open.within(piece.start, piece.end);
      this.#open.delete(piece.start, piece.end);
      if (!held) lost.add(piece);
      for (const range of settled) {
        if (!held) this.#resumed.delete(range.start, range.end);
        (held ? onHeld : onLost)?.(range);
      }
    }
    return lost.size === 0 ? undefined : pieces.filter((piece) => !lost.has(piece));
  }

  /** The pieces in their order, those that are wanted before the others. What came of one is known when the next is asked for. */
  *#inTurn(pieces: Piece[]): Generator<Piece, void, undefined> {
    const jumped = new Set<Piece>();
    for (const piece of pieces) {
      for (let first = this.#wantedOf(pieces, jumped); first !== undefined; first = this.#wantedOf(pieces, jumped)) {
        jumped.add(first);
        yield first;
      }
      if (!jumped.has(piece)) yield piece;
    }
    this.#settleWanted();
  }

  #wantedOf(pieces: readonly Piece[], jumped: ReadonlySet<Piece>): Piece | undefined {
    this.#settleWanted();
    const range = this.#wanted[0]?.range;
    if (range === undefined) return undefined;
    const { start, end } = range;
    return pieces.find(
      (piece) =>
        piece.start < end && start < piece.end && this.#open.overlaps(piece.start, piece.end) && !jumped.has(piece),
    );
  }

  #settleWanted(): void {
    this.#wanted = this.#wanted.filter(({ range, settle }) => {
      const isOpen = this.#open.overlaps(range.start, range.end);
      if (!isOpen) settle();
      return isOpen;
    });
  }
}

/** Claims that add up to more than twice the blob's size are beyond what any honest journal has. */
export function crediblePieces(pieces: readonly Piece[], size: number): readonly Piece[] {
  let claimed = 0;
  const end = pieces.findIndex((piece) => (claimed += piece.end - piece.start) > size * 2);
  return end === -1 ? pieces : pieces.slice(0, end);
}

/** The sum of bytes that are in the file; undefined when the file ends before them. */
export async function sumOf(file: Readable, range: ByteRange, key: Uint8Array): Promise<Uint8Array | undefined> {
  const sum = new PieceSum(key);
  const buffer = new Uint8Array(Math.min(BUFFER_BYTES, range.end - range.start));
  const whole = await eachChunk(file, range, buffer, (chunk) => {
    sum.update(chunk);
    return true;
  });
  return whole ? sum.digest() : undefined;
}

/** Of pieces that begin at the same byte the later claim comes first: it was made because the earlier one did not hold. */
function fromTheFront(pieces: readonly Piece[]): Piece[] {
  return pieces.toReversed().sort((a, b) => a.start - b.start);
}

interface Reading {
  readonly key: Uint8Array;
  readonly buffer: Uint8Array;
  readonly signal: AbortSignal;
}

/** A place of the disk that cannot be read is as good as other bytes in it: they are fetched and written anew. */
async function holds(file: Readable, piece: Piece, reading: Reading): Promise<boolean> {
  try {
    return await isAsClaimed(file, piece, reading);
  } catch (error) {
    reading.signal.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code === "EIO") return false;
    throw error;
  }
}

async function isAsClaimed(file: Readable, piece: Piece, { key, buffer, signal }: Reading): Promise<boolean> {
  const sum = piece.sum === undefined ? undefined : new PieceSum(key);
  const whole = await eachChunk(file, piece, buffer, (chunk) => {
    signal.throwIfAborted();
    sum?.update(chunk);
    return sum !== undefined || Buffer.compare(chunk, ZEROS.subarray(0, chunk.length)) === 0;
  });
  return whole && (sum === undefined || timingSafeEqual(sum.digest(), piece.sum!));
}

/** Feeds the range through `buffer`; false as soon as `see` says so or the file ends early. */
async function eachChunk(
  file: Readable,
  range: ByteRange,
  buffer: Uint8Array,
  see: (chunk: Uint8Array) => boolean,
): Promise<boolean> {
  for (let position = range.start; position < range.end;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, range.end - position), position);
    if (bytesRead === 0 || !see(buffer.subarray(0, bytesRead))) return false;
    position += bytesRead;
  }
  return true;
}
