/**
 * A blob's bytes on their way into requests: from any place that the registry names, hashed as they go. The last piece is held back
 * until the digest of all is known to be right, so that no registry, however careless, can take wrong bytes for the blob.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { RateLimiter } from "../rate-limiter.ts";
import type { RequestBody } from "../transport/request-body.ts";
import type { OpenBlob } from "./blob-sink.ts";
import { SentHash } from "./sent-hash.ts";
import { SourceReader } from "./source-reader.ts";

/** What passes at once, so that a rate is kept evenly. */
const MOST_BYTES = 256 * 1024;

export interface UploadSourceOptions {
  readonly limiter: RateLimiter | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of the byte that is sent next: where a request begins, and whenever the network has taken a piece. */
  readonly onPosition?: ((position: number) => void) | undefined;
}

export class UploadSource {
  readonly #blob: Descriptor;
  readonly #open: OpenBlob;
  readonly #options: UploadSourceOptions;
  readonly #hash: SentHash;
  #reader: SourceReader | undefined;
  /** Which body is the current one; those before it may still wait for bytes, and must not touch anything then. */
  #turn = 0;
  #taken = 0;
  #isComplete = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(blob: Descriptor, open: OpenBlob, options: UploadSourceOptions) {
    this.#blob = blob;
    this.#open = open;
    this.#options = options;
    this.#hash = new SentHash(blob.digest, blob.size);
  }

  /** What ended it, if it was the source: no registry is to blame. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Bytes that may have reached the registry since the start, or since the last {@link restart}. */
  get reached(): number {
    return this.#hash.reached;
  }

  /** Bytes of the last body that were handed out. */
  get taken(): number {
    return this.#taken;
  }

  /** Every byte was handed out, and their digest is right. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Bytes `[start, end)` as a request's body; `start` is at most {@link reached}. */
  body(start: number, end: number): RequestBody {
    return { length: end - start, open: () => this.#pieces(start, end) };
  }

  /** Makes sure of the digest when there is nothing left to send. */
  async complete(): Promise<void> {
    if (this.#isComplete) return;
    const { size } = this.#blob;
    await this.#pieces(size, size).next();
  }

  /** The registry has nothing of it any more. */
  restart(): void {
    this.#turn++;
    this.#leave();
    this.#isComplete = false;
    this.#hash.restart();
  }

  close(): void {
    this.#turn++;
    this.#leave();
  }

  async *#pieces(start: number, end: number): AsyncGenerator<Uint8Array> {
    const turn = ++this.#turn;
    this.#taken = 0;
    try {
      const reader = this.#seek(start);
      this.#isComplete = false;
      while (this.#hash.position < start) {
        if ((await this.#next(reader, start, turn)) === undefined) return;
      }
      this.#options.onPosition?.(start);
      if (end === this.#blob.size && start === end) await this.#check(reader, turn);
      while (this.#hash.position < end) {
        const piece = await this.#next(reader, end, turn);
        if (piece === undefined) return;
        if (this.#hash.position === this.#blob.size) await this.#check(reader, turn);
        await this.#options.limiter?.take(piece.length, this.#options.signal);
        if (turn !== this.#turn) return;
        this.#taken += piece.length;
        yield piece;
        if (turn !== this.#turn) return;
        this.#options.onPosition?.(this.#hash.position);
      }
    } catch (error) {
      if (turn === this.#turn) this.#failure = { error };
      throw error;
    }
  }

  /** Hashed; undefined when another body is the current one by now. */
  async #next(reader: SourceReader, end: number, turn: number): Promise<Uint8Array | undefined> {
    const piece = await reader.next(Math.min(MOST_BYTES, end - this.#hash.position));
    if (turn !== this.#turn) return undefined;
    if (piece === undefined) throw this.#wrongSize(`ended at byte ${this.#hash.position}`);
    this.#hash.update(piece);
    return piece;
  }

  async #check(reader: SourceReader, turn: number): Promise<void> {
    const more = await reader.next(1);
    if (turn !== this.#turn) return;
    if (more !== undefined) throw this.#wrongSize("has more bytes");
    const { digest } = this.#blob;
    if (!this.#hash.isRight()) {
      const hint = "nothing was published; what was to be pushed is damaged here";
      throw new VarveError("DIGEST_MISMATCH", `blob ${digest}: its source gave other bytes`, {
        hint,
        detail: { digest },
      });
    }
    this.#isComplete = true;
  }

  /** A reader at the place where the hash stands. */
  #seek(start: number): SourceReader {
    const from = this.#hash.rewind(start);
    const reader = this.#reader;
    if (reader !== undefined && !reader.isBusy && reader.position === from) return reader;
    this.#leave();
    this.#reader = new SourceReader(this.#open(from), from);
    return this.#reader;
  }

  #leave(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }

  #wrongSize(what: string): VarveError {
    const { digest, size } = this.#blob;
    return new VarveError("SIZE_MISMATCH", `blob ${digest}: its source ${what}, and it should have ${size}`, {
      hint: "nothing was published; what was to be pushed is damaged here",
      detail: { digest },
    });
  }
}
