/**
 * How many bytes of a blob go with one request. All of them, unless somebody wants less: the user; the registry, or what stands before it,
 * which says 413; or the line, which breaks off one long request after another without a word. Proxies do that above their limit, when they
 * close the connection before the answer can be read, and after their time limit, so there smaller pieces are tried, without being sure.
 */
const MIB = 1024 * 1024;
/** Below what services in front of registries are known to allow (100 MB). */
const OWN_CHUNK = 64 * MIB;
/** The second is more than ECR's least (5 MB), the last is what nginx allows where nobody has told it otherwise. */
const STEPS: readonly number[] = [OWN_CHUNK, 8 * MIB, MIB];
const SMALLEST_CHUNK = 64 * 1024;
/** So often may a request break off of which the registry keeps nothing, before smaller ones are tried. */
const MOST_IN_VAIN = 2;

/** A request with a part of the blob of which nothing was kept. */
export interface InVain {
  /** Bytes that it would have had. */
  readonly length: number;
  /** The registry's least, see `OCI-Chunk-Min-Length`. */
  readonly least: number;
  /** Whether it was the connection that broke; otherwise there was an answer. */
  readonly isCut: boolean;
}

export class ChunkSize {
  #size: number;
  #inVain = 0;
  /** Before the first guess; undefined when there was none, or it has proved right. */
  #beforeGuess: number | undefined;
  #mayGuess = true;

  /** @param wanted Bytes. Default: all at once. */
  constructor(wanted = Infinity) {
    this.#size = wanted;
  }

  /** Bytes; Infinity for all at once. */
  get size(): number {
    return this.#size;
  }

  /** A request that was not the last was accepted. */
  accepted(): void {
    this.#inVain = 0;
    this.#beforeGuess = undefined;
  }

  /** 413. @returns false when smaller pieces cannot be */
  tooLarge(length: number, least: number): boolean {
    const next = Math.min(OWN_CHUNK, Math.floor(length / 4));
    if (next < SMALLEST_CHUNK || next < least) return false;
    this.#size = next;
    this.#inVain = 0;
    this.#beforeGuess = undefined;
    return true;
  }

  /** Tries smaller pieces when this was once too often. */
  inVain({ length, least, isCut }: InVain): void {
    // An answer is about what was sent, not about how much; unless it was more than many take.
    if (!isCut && length <= OWN_CHUNK) return;
    this.#inVain++;
    const isGuessing = this.#beforeGuess !== undefined;
    if (!this.#mayGuess || (!isGuessing && this.#inVain < MOST_IN_VAIN)) return;
    const next = STEPS.find((step) => step < length && step < this.#size);
    if (next === undefined || next < least) return;
    this.#beforeGuess ??= this.#size;
    this.#size = next;
    this.#inVain = 0;
  }

  /** A piece was refused for what it is. @returns whether its size was only guessed: then it is as before, for good */
  withdraw(): boolean {
    if (this.#beforeGuess === undefined) return false;
    this.#size = this.#beforeGuess;
    this.#beforeGuess = undefined;
    this.#mayGuess = false;
    return true;
  }
}
