/**
 * What is written to, and how data and zeros get there. Zeros may be left out only where nothing else can be read: of a file that was made for
 * it (sparse-files, 4). All count what they did to the bytes that they were given.
 */
import type { CopyCalls } from "./copy-calls.ts";
import { readFully, writeFully } from "./copy-calls.ts";
import { HOLE_BLOCK, isZero } from "../codec/zero-runs.ts";
import { PIECE_BYTES } from "./pieces.ts";

export interface CopyCounts {
  /** Bytes that were written, zeros too. */
  written: number;
  /** Bytes that were there as they should be. */
  unchanged: number;
  /** Bytes that became or stayed holes. */
  holes: number;
  /** Bytes that should have become holes and were written as zeros, because the file system cannot. */
  dense: number;
}

export interface CopyTarget {
  readonly counts: Readonly<CopyCounts>;
  /** Writes `bytes[start, end)` to `position`. @throws NodeJS.ErrnoException */
  put(bytes: Uint8Array, start: number, end: number, position: number): Promise<void>;
  /** Makes a range read as zeros. @throws NodeJS.ErrnoException */
  zero(position: number, length: number, signal: AbortSignal): Promise<void>;
}

export interface TargetFile {
  readonly descriptor: number;
  readonly calls: CopyCalls;
}

const ZEROS = Buffer.alloc(PIECE_BYTES);
/** Freed or zeroed at once: what cannot be interrupted should not take long. */
const STEP = 1 << 30;
/** Compared at once; what differs is written in these. */
const COMPARED = 64 << 10;

function noCounts(): CopyCounts {
  return { written: 0, unchanged: 0, holes: 0, dense: 0 };
}

/**
 * Writes what it is given, one after the other: file systems let one writer into a file at a time, and threads that wait to be let in burn as much of
 * a processor as the one that writes.
 */
abstract class WrittenTarget implements CopyTarget {
  readonly counts = noCounts();
  readonly file: TargetFile;
  /** Settles when the last write that was asked for has ended. */
  #last: Promise<void> | undefined;

  constructor(file: TargetFile) {
    this.file = file;
  }

  async put(bytes: Uint8Array, start: number, end: number, position: number): Promise<void> {
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = turn.promise;
    try {
      await before;
      await writeFully(this.file.calls, this.file.descriptor, bytes, [start, end], position);
    } finally {
      turn.resolve();
    }
    this.counts.written += end - start;
  }

  abstract zero(position: number, length: number, signal: AbortSignal): Promise<void>;
}

/** A file with nothing in it yet but its length: zeros are there already. Also one of which every byte is put. */
export class EmptyTarget extends WrittenTarget {
  zero(_: number, length: number): Promise<void> {
    this.counts.holes += length;
    return Promise.resolve();
  }
}

/** A file that has content: only what differs is written, and what is to be zeros is given back. */
export class UpdatedTarget implements CopyTarget {
  readonly counts = noCounts();
  readonly #file: TargetFile;
  readonly #buffers: Buffer[] = [];

  constructor(file: TargetFile) {
    this.#file = file;
  }

  async put(bytes: Uint8Array, start: number, end: number, position: number): Promise<void> {
    const { calls, descriptor } = this.#file;
    const there = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
    try {
      const got = await readFully(calls, descriptor, there, end - start, position);
      for (let at = start; at < end; at += COMPARED) {
        const stop = Math.min(end, at + COMPARED);
        const isSame = stop - start <= got && there.compare(bytes, at, stop, at - start, stop - start) === 0;
        if (!isSame) await writeFully(calls, descriptor, bytes, [at, stop], position + at - start);
        this.counts[isSame ? "unchanged" : "written"] += stop - at;
      }
    } finally {
      this.#buffers.push(there);
    }
  }

  async zero(position: number, length: number, signal: AbortSignal): Promise<void> {
    const { calls, descriptor } = this.#file;
    for (let done = 0; done < length;) {
      signal.throwIfAborted();
      const step = Math.min(STEP, length - done);
      if (!(await calls.free(descriptor, position + done, step)))
        return this.#clear(position + done, length - done, signal);
      this.counts.holes += step;
      done += step;
    }
  }

  /** Zeros by writing them, where something else is. */
  async #clear(position: number, length: number, signal: AbortSignal): Promise<void> {
    const { calls, descriptor } = this.#file;
    const there = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
    try {
      for (let done = 0; done < length;) {
        signal.throwIfAborted();
        const step = Math.min(PIECE_BYTES, length - done);
        const got = await readFully(calls, descriptor, there, step, position + done);
        if (isZero(there, 0, got)) this.counts.unchanged += step;
        else {
          await writeFully(calls, descriptor, ZEROS, [0, step], position + done);
          this.counts.written += step;
        }
        this.counts.dense += step;
        done += step;
      }
    } finally {
      this.#buffers.push(there);
    }
  }
}

/** A block device: whole blocks of zeros by its own command, the others and where it has none by writing. */
export class DeviceTarget extends WrittenTarget {
  async zero(position: number, length: number, signal: AbortSignal): Promise<void> {
    const end = position + length;
    const from = Math.min(end, Math.ceil(position / HOLE_BLOCK) * HOLE_BLOCK);
    const to = Math.max(from, Math.floor(end / HOLE_BLOCK) * HOLE_BLOCK);
    await this.#write(position, from, signal);
    for (let at = from; at < to; at += STEP) {
      signal.throwIfAborted();
      const stop = Math.min(to, at + STEP);
      if (await this.#command(at, stop - at)) this.counts.holes += stop - at;
      else await this.#write(at, stop, signal);
    }
    await this.#write(to, end, signal);
  }

  async #command(position: number, length: number): Promise<boolean> {
    const { calls, descriptor } = this.file;
    // Blocks larger than ours are told of by EINVAL; whatever else is wrong shows when they are written.
    const freed = await calls.free(descriptor, position, length).catch(() => false);
    return freed || calls.zeroDevice(descriptor, position, length);
  }

  async #write(from: number, to: number, signal: AbortSignal): Promise<void> {
    await writeZeros(this.file, from, to - from, signal);
    this.counts.written += to - from;
  }
}

/** A file that shares its blocks with the source: it has all the data, and zeros among it are given back. */
export class SharedTarget implements CopyTarget {
  readonly counts = noCounts();
  readonly #file: TargetFile;

  constructor(file: TargetFile) {
    this.#file = file;
  }

  put(_bytes: Uint8Array, start: number, end: number): Promise<void> {
    this.counts.unchanged += end - start;
    return Promise.resolve();
  }

  async zero(position: number, length: number): Promise<void> {
    const { calls, descriptor } = this.#file;
    const freed = await calls.free(descriptor, position, length);
    this.counts[freed ? "holes" : "unchanged"] += length;
    if (!freed) this.counts.dense += length;
  }
}

/** Counts, and writes nothing. */
export class CountingTarget implements CopyTarget {
  readonly counts = noCounts();

  put(_bytes: Uint8Array, start: number, end: number): Promise<void> {
    this.counts.written += end - start;
    return Promise.resolve();
  }

  zero(_: number, length: number): Promise<void> {
    this.counts.holes += length;
    return Promise.resolve();
  }
}

async function writeZeros(
  { calls, descriptor }: TargetFile,
  position: number,
  length: number,
  signal: AbortSignal,
): Promise<void> {
  for (let done = 0; done < length;) {
    signal.throwIfAborted();
    const step = Math.min(ZEROS.length, length - done);
    await writeFully(calls, descriptor, ZEROS, [0, step], position + done);
    done += step;
  }
}
