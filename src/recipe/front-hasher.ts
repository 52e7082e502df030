/**
 * The digest of the target, computed while it arrives. Bytes that come in order are hashed from memory while their write
 * is under way; what came out of order, or in an earlier try, is read back along the contiguous front, from the page cache
 * as a rule. It hashes at most 1 MiB (about a millisecond) before the event loop gets its turn.
 */
import { setImmediate as turn } from "node:timers/promises";
import { digestAlgorithm, Digester, type Digest } from "../oci/digest.ts";
import type { Ingest } from "../store/types.ts";
import { releaseBuffer } from "../sys/release-buffer.ts";

const STEP = 1 << 20;
/** Runs of zeros remembered so that they need not be read back; more of them are simply read. */
const MAX_ZERO_RUNS = 4096;
const ZEROS = new Uint8Array(STEP);

export class FrontHasher {
  readonly #ingest: Ingest;
  readonly #digester: Digester;
  readonly #onError: (error: unknown) => void;
  /** Buffers that are being written now, by position. Bounded by the slots of the budget. */
  readonly #inMemory = new Map<number, Uint8Array>();
  readonly #zeros: { start: number; end: number }[] = [];
  #position = 0;
  #pumping: Promise<void> | undefined;
  #stopped = false;
  #known = false;
  #readBack = 0;

  /** @param onError is told when reading back fails; hashing then stands still */
  constructor(ingest: Ingest, onError: (error: unknown) => void) {
    this.#ingest = ingest;
    this.#digester = new Digester(digestAlgorithm(ingest.digest));
    this.#onError = onError;
  }

  /** Bytes that had to be read from the ingest because they were not in memory when their turn came. */
  get readBack(): number {
    return this.#readBack;
  }

  /** Bytes whose write has begun. They must stay as they are until `settle`. */
  offer(position: number, bytes: Uint8Array): void {
    if (this.#known || position < this.#position) return;
    if (position === this.#position && this.#pumping === undefined) this.#update(bytes);
    else this.#inMemory.set(position, bytes);
  }

  /** The write at `position` is over, for better or worse: its buffer will be reused. */
  settle(position: number): void {
    const bytes = this.#inMemory.get(position);
    if (bytes !== undefined && position === this.#position && this.#pumping === undefined) this.#update(bytes);
    this.#inMemory.delete(position);
    this.wake();
  }

  /** A run of zeros is in place. */
  zeros(start: number, length: number): void {
    if (this.#zeros.length < MAX_ZERO_RUNS) this.#zeros.push({ start, end: start + length });
    this.wake();
  }

  /** Whether all bytes, once they are in place, are known to be the target's, because they were verified in one piece. */
  isKnown(known: boolean): void {
    this.#known = known;
  }

  /** Goes on along the front, in the background. */
  wake(): void {
    if (this.#stopped || this.#pumping !== undefined || !this.#ready) return;
    this.#pumping = this.#pump()
      .catch((error: unknown) => {
        this.#stopped = true;
        this.#onError(error);
      })
      .finally(() => (this.#pumping = undefined));
  }

  /** Hashes what is left up to the front, and gives the digest of all that was hashed. May be called once. */
  async finish(): Promise<{ digest: Digest; size: number }> {
    while (this.#ready && !this.#stopped) {
      this.wake();
      await this.#pumping;
    }
    const { digest, size, front } = this.#ingest;
    if (this.#known && front === size) return { digest, size };
    return { digest: this.#digester.digest(), size: this.#position };
  }

  /** Gives up; settles when nothing is being read. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#pumping;
  }

  get #ready(): boolean {
    return !this.#known && (this.#position < this.#ingest.front || this.#inMemory.has(this.#position));
  }

  async #pump(): Promise<void> {
    while (!this.#stopped && this.#ready) {
      const bytes = this.#inMemory.get(this.#position);
      if (bytes !== undefined) {
        this.#inMemory.delete(this.#position);
        this.#update(bytes);
        await turn();
        continue;
      }
      const length = Math.min(STEP, this.#ingest.front - this.#position);
      const zeros = this.#zerosHere(length);
      if (zeros > 0) {
        this.#update(ZEROS.subarray(0, zeros));
        await turn();
      } else {
        const read = await this.#ingest.read(this.#position, length);
        this.#readBack += read.length;
        this.#update(read);
        releaseBuffer(read);
      }
    }
  }

  #update(bytes: Uint8Array): void {
    this.#digester.update(bytes);
    this.#position += bytes.length;
  }

  /** How many of the next `length` bytes are known to be zeros. */
  #zerosHere(length: number): number {
    while (this.#zeros.length > 0 && this.#zeros[0]!.end <= this.#position) this.#zeros.shift();
    const run = this.#zeros[0];
    return run !== undefined && run.start <= this.#position ? Math.min(length, run.end - this.#position) : 0;
  }
}
