/**
 * Whether a disk's file holds what it should, place by place. What the file system has as holes is not read: that a place of nothing else has the digest of
 * zeros is known after the first of its size.
 */
import { setImmediate as turn } from "node:timers/promises";
import { COPY_CALLS, readFully } from "../../disk/copy-calls.ts";
import type { CopySource } from "../../disk/copy-source.ts";
import { digestAlgorithm, Digester, type Digest } from "../../oci/digest.ts";
import type { Extent } from "../../sys/sparse.ts";

/** A place of a disk. Without a digest it is to be zeros. */
export interface ExpectedContent {
  readonly offset: number;
  readonly size: number;
  readonly digest: Digest | undefined;
}

export interface ContentsOptions {
  readonly signal: AbortSignal;
  /** Bytes of the disk that are dealt with, and how many of them were read. */
  readonly onBytes: (bytes: number, read: number) => void;
}

const PIECE_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(PIECE_BYTES);
/** Zeros that are hashed between two turns of everything else. */
const TURN_BYTES = 16 << 20;

/**
 * @param expected in the order of the disk, without overlap
 * @returns those that hold something else. Memory: some 2 MiB
 * @throws NodeJS.ErrnoException; the signal's reason
 */
export async function wrongContents(
  source: CopySource,
  expected: readonly ExpectedContent[],
  options: ContentsOptions,
): Promise<ExpectedContent[]> {
  const runs = new DataRuns(source.extents());
  const reader = new ContentReader(source, runs, options);
  const wrong: ExpectedContent[] = [];
  for (const content of expected) {
    options.signal.throwIfAborted();
    if (!(await reader.holds(content))) wrong.push(content);
  }
  return wrong;
}

/** Runs of data, asked for from the first to the last. */
class DataRuns {
  readonly #runs: Iterator<Extent>;
  #current: Extent | undefined;

  constructor(runs: Iterable<Extent>) {
    this.#runs = runs[Symbol.iterator]();
    this.#current = this.#next();
  }

  /** The first data at or behind a byte; never an earlier byte than before. */
  from(position: number): Extent | undefined {
    while (this.#current !== undefined && this.#current.offset + this.#current.length <= position) {
      this.#current = this.#next();
    }
    return this.#current;
  }

  #next(): Extent | undefined {
    const { done, value } = this.#runs.next();
    return done === true ? undefined : value;
  }
}

class ContentReader {
  readonly #source: CopySource;
  readonly #runs: DataRuns;
  readonly #options: ContentsOptions;
  readonly #buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  /** By size and algorithm. */
  readonly #zeros = new Map<string, Digest>();

  constructor(source: CopySource, runs: DataRuns, options: ContentsOptions) {
    this.#source = source;
    this.#runs = runs;
    this.#options = options;
  }

  async holds({ offset, size, digest }: ExpectedContent): Promise<boolean> {
    const end = offset + size;
    if (end > this.#source.size) return false;
    const first = this.#runs.from(offset);
    if (first === undefined || first.offset >= end) {
      this.#options.onBytes(size, 0);
      return digest === undefined || digest === (await this.#zeroDigest(size, digest));
    }
    const digester = new Digester(digest === undefined ? "sha256" : digestAlgorithm(digest));
    let isZeros = true;
    for (let at = offset; at < end;) {
      const run = this.#runs.from(at);
      const dataFrom = Math.min(end, Math.max(at, run?.offset ?? end));
      await this.#hashZeros(digester, dataFrom - at);
      const dataTo = Math.min(end, run === undefined ? end : run.offset + run.length);
      for (at = dataFrom; at < dataTo;) {
        const bytes = await this.#read(at, Math.min(PIECE_BYTES, dataTo - at));
        if (bytes === undefined) return false;
        if (digest === undefined) isZeros &&= bytes.equals(ZEROS.subarray(0, bytes.length));
        else digester.update(bytes);
        at += bytes.length;
        this.#options.onBytes(bytes.length, bytes.length);
      }
    }
    return digest === undefined ? isZeros : digester.digest() === digest;
  }

  /** Undefined where the file ends too early. */
  async #read(at: number, length: number): Promise<Buffer | undefined> {
    this.#options.signal.throwIfAborted();
    const got = await readFully(COPY_CALLS, this.#source.descriptor, this.#buffer, length, at);
    return got < length ? undefined : this.#buffer.subarray(0, length);
  }

  async #hashZeros(digester: Digester, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      const step = Math.min(PIECE_BYTES, length - done);
      digester.update(step === PIECE_BYTES ? ZEROS : ZEROS.subarray(0, step));
      done += step;
      this.#options.onBytes(step, 0);
      if (done % TURN_BYTES === 0) {
        await turn();
        this.#options.signal.throwIfAborted();
      }
    }
  }

  async #zeroDigest(size: number, like: Digest): Promise<Digest> {
    const algorithm = digestAlgorithm(like);
    const key = `${algorithm} ${size}`;
    const known = this.#zeros.get(key);
    if (known !== undefined) return known;
    const digester = new Digester(algorithm);
    for (let done = 0; done < size;) {
      const step = Math.min(PIECE_BYTES, size - done);
      digester.update(ZEROS.subarray(0, step));
      done += step;
      if (done % TURN_BYTES === 0) {
        await turn();
        this.#options.signal.throwIfAborted();
      }
    }
    const made = digester.digest();
    // A manifest may have as many sizes as it has chunks.
    if (this.#zeros.size < 64) this.#zeros.set(key, made);
    return made;
  }
}
