/**
 * Cuts a file where its content says so, as podman's writer of zstd:chunked does (formats "zstd-chunked" §1.4): a rolling sum over the last
 * 64 bytes cuts every 64 KiB on average, and a run of at least 1024 zeros is a chunk of its own. So the same content has the same chunks
 * wherever it stands, whoever cut it, at whatever level it was compressed.
 *
 * Sums are kept less what they are over 64 zeros (1984 and 124,992 in the format's words), where a file begins and where it is again after
 * a run of zeros; and the second one less what its low 16 bits are at a cut, so that those are zero there. Bytes are read four at a time: 2.3
 * times as fast as one by one.
 */

/** Zeros from which on they are a chunk of their own. */
export const ZERO_RUN_BYTES = 1024;

const WINDOW = 64;
/** What the second sum is over 64 zeros: less what its low 16 bits have to be at a cut, all ones, less those of 124,992. */
const START = -((0xffff - (124_992 & 0xffff)) & 0xffff);
const ZEROS = new Uint8Array(ZERO_RUN_BYTES);

/**
 * Told of each chunk when its end is known, in order.
 * @param end bytes of the file up to the end of the chunk. As long as a run of zeros is too short to be told from others, the chunk that
 * ends before it is told late: up to 1023 bytes, all zeros, may have been taken that lie behind it
 * @param zeros whether the chunk is a run of zeros
 */
export type OnChunk = (end: number, zeros: boolean) => void;

/** One file's chunks: `write` its bytes in pieces of any size, then `end`; then it is ready for the next file. */
export class Chunker {
  readonly #onChunk: OnChunk;
  // The last bytes before `#rolled`, in order.
  readonly #window = new Uint8Array(WINDOW);
  #s1 = 0;
  #s2 = START;
  /** Bytes that the sum has taken: all but the zeros at the end of which it is not known what they are. */
  #rolled = 0;
  /** Zeros at the end that are fewer than a run. */
  #pending = 0;
  #inRun = false;
  #chunkAt = 0;

  constructor(onChunk: OnChunk) {
    this.#onChunk = onChunk;
  }

  /** Bytes taken whose chunk is the current one or one before: the zeros that `pending` counts come behind them. */
  get settled(): number {
    return this.#rolled;
  }

  /** Zeros at the end of what was taken of which it is not known to which chunk they belong, 0 ... 1023. */
  get pending(): number {
    return this.#pending;
  }

  /** Takes the next bytes. They are only read. */
  write(bytes: Uint8Array): void {
    let at = 0;
    if (this.#inRun || this.#pending > 0) {
      at = this.#continueZeros(bytes);
      if (at === bytes.length) return;
    }
    for (;;) {
      const [from, to] = nextRun(bytes, at);
      this.#roll(bytes, at, from);
      if (from === bytes.length) return;
      this.#takeZeros(to - from);
      if (to === bytes.length) return;
      this.#endRun();
      at = to;
    }
  }

  /** The file is over: its last chunk, if it has any. */
  end(): void {
    if (this.#inRun) this.#endRun();
    else this.#rollPending();
    if (this.#chunkAt < this.#rolled) this.#cut(this.#rolled, false);
    this.reset();
  }

  /** Forgets the file. */
  reset(): void {
    this.#forget();
    this.#rolled = 0;
    this.#pending = 0;
    this.#inRun = false;
    this.#chunkAt = 0;
  }

  /** Zeros that go on from before. @returns where something else begins */
  #continueZeros(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && bytes[at] === 0) at++;
    this.#takeZeros(at);
    if (at === bytes.length) return at;
    if (this.#inRun) this.#endRun();
    else this.#rollPending();
    return at;
  }

  #takeZeros(count: number): void {
    if (this.#inRun) {
      this.#rolled += count;
      return;
    }
    this.#pending += count;
    if (this.#pending < ZERO_RUN_BYTES) return;
    if (this.#chunkAt < this.#rolled) this.#cut(this.#rolled, false);
    this.#rolled += this.#pending;
    this.#pending = 0;
    this.#inRun = true;
  }

  #endRun(): void {
    this.#inRun = false;
    this.#cut(this.#rolled, true);
    this.#forget();
  }

  /** Zeros that were too few are bytes like others. */
  #rollPending(): void {
    const count = this.#pending;
    this.#pending = 0;
    this.#roll(ZEROS, 0, count);
  }

  #cut(end: number, zeros: boolean): void {
    this.#chunkAt = end;
    this.#onChunk(end, zeros);
  }

  #forget(): void {
    this.#window.fill(0);
    this.#s1 = 0;
    this.#s2 = START;
  }

  /** Rolls `bytes[from, to)`, which follow what was rolled before. */
  #roll(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (length === 0) return;
    const window = this.#window;
    const base = this.#rolled - from;
    this.#rollBytes(bytes, from, Math.min(to, from + WINDOW), base, window, -from);
    if (length > WINDOW) {
      const last = this.#rollWords(bytes, from + WINDOW, to, base);
      this.#rollBytes(bytes, last, to, base, bytes, -WINDOW);
    }
    this.#rolled += length;
    if (length < WINDOW) window.copyWithin(0, length);
    window.set(bytes.subarray(Math.max(from, to - WINDOW), to), Math.max(0, WINDOW - length));
  }

  /** @param gone where the bytes stand that leave the window, that of `bytes[at]` at `at + shift` */
  #rollBytes(bytes: Uint8Array, from: number, to: number, base: number, gone: Uint8Array, shift: number): void {
    let s1 = this.#s1;
    let s2 = this.#s2;
    for (let at = from; at < to; at++) {
      const old = gone[at + shift]!;
      s1 = (s1 + bytes[at]! - old) | 0;
      s2 = (s2 + s1 - (old << 6)) | 0;
      if (s2 << 16 === 0) this.#cut(base + at + 1, false);
    }
    this.#s1 = s1;
    this.#s2 = s2;
  }

  /** Rolls bytes that have 64 others before them, four by four. @returns where the last of them end, less than four bytes before `to` */
  #rollWords(bytes: Uint8Array, from: number, to: number, base: number): number {
    const last = to - ((to - from) % 4);
    if (last === from) return from;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let s1 = this.#s1;
    let s2 = this.#s2;
    for (let at = from; at < last; at += 4) {
      const word = view.getInt32(at, true);
      const gone = view.getInt32(at - WINDOW, true);
      let old = gone & 0xff;
      s1 = (s1 + (word & 0xff) - old) | 0;
      s2 = (s2 + s1 - (old << 6)) | 0;
      if (s2 << 16 === 0) this.#cut(base + at + 1, false);
      old = (gone >>> 8) & 0xff;
      s1 = (s1 + ((word >>> 8) & 0xff) - old) | 0;
      s2 = (s2 + s1 - (old << 6)) | 0;
      if (s2 << 16 === 0) this.#cut(base + at + 2, false);
      old = (gone >>> 16) & 0xff;
      s1 = (s1 + ((word >>> 16) & 0xff) - old) | 0;
      s2 = (s2 + s1 - (old << 6)) | 0;
      if (s2 << 16 === 0) this.#cut(base + at + 3, false);
      old = gone >>> 24;
      s1 = (s1 + (word >>> 24) - old) | 0;
      s2 = (s2 + s1 - (old << 6)) | 0;
      if (s2 << 16 === 0) this.#cut(base + at + 4, false);
    }
    this.#s1 = s1;
    this.#s2 = s2;
    return last;
  }
}

/**
 * The next zeros from `at` on that are a run, or that may be one because they reach the end of the bytes; both ends are the end of the bytes
 * when there are none. A run covers one of any 1024 positions that follow each other, so only every 1024th byte is looked at.
 */
function nextRun(bytes: Uint8Array, at: number): readonly [from: number, to: number] {
  const { length } = bytes;
  for (let probe = at + ZERO_RUN_BYTES - 1; probe < length;) {
    if (bytes[probe] !== 0) {
      probe += ZERO_RUN_BYTES;
      continue;
    }
    let from = probe;
    while (from > at && bytes[from - 1] === 0) from--;
    let to = probe + 1;
    while (to < length && bytes[to] === 0) to++;
    if (to === length || to - from >= ZERO_RUN_BYTES) return [from, to];
    probe = to + ZERO_RUN_BYTES - 1;
  }
  let from = length;
  while (from > at && bytes[from - 1] === 0) from--;
  return [from, length];
}

/** A chunk of a file, bytes. */
export interface FileChunk {
  readonly start: number;
  readonly length: number;
  readonly zeros: boolean;
}

/** The chunks of a file that is in memory. */
export function chunksOf(bytes: Uint8Array): FileChunk[] {
  const chunks: FileChunk[] = [];
  let start = 0;
  const chunker = new Chunker((end, zeros) => {
    chunks.push({ start, length: end - start, zeros });
    start = end;
  });
  chunker.write(bytes);
  chunker.end();
  return chunks;
}
