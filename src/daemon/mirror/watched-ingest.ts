/**
 * An ingest that tells readers where bytes have come, wherever that is: who is sent a part of a blob while it arrives need not wait for what is
 * before it. Everything else is as with the ingest itself.
 */
import { RangeSet } from "../../store/range-set.ts";
import type { ByteRange, ClaimsOptions, ContentInfo, FileRange, Ingest, WriteOptions } from "../../store/types.ts";

interface Waiter {
  readonly position: number;
  readonly settle: (error?: Error) => void;
}

export class WatchedIngest implements Ingest {
  readonly #inner: Ingest;
  readonly #here: RangeSet;
  readonly #waiters = new Set<Waiter>();
  readonly #reads = new Set<Promise<Uint8Array>>();

  constructor(inner: Ingest) {
    this.#inner = inner;
    this.#here = new RangeSet(inner.done);
  }

  /** The end of what is here from `position` on; `position` itself when that byte is not. */
  hereUntil(position: number): number {
    return this.#here.contiguousEnd(position);
  }

  /** Where the next bytes after `position` begin that are here, at most `end`. */
  nextHere(position: number, end: number): number {
    return this.#here.within(position, end)[0]?.start ?? end;
  }

  /** Settles when the byte at `position` is here, or anything else may have changed for who waits for it. @throws the signal's reason */
  async changed(position: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.hereUntil(position) > position) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => waiter.settle(signal.reason as Error);
      const waiter: Waiter = {
        position,
        settle: (error) => {
          this.#waiters.delete(waiter);
          signal.removeEventListener("abort", onAbort);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Wakes all who wait, for them to look again. */
  wake(): void {
    for (const waiter of this.#waiters) waiter.settle();
  }

  get digest(): Ingest["digest"] {
    return this.#inner.digest;
  }
  get size(): number {
    return this.#inner.size;
  }
  get path(): string {
    return this.#inner.path;
  }
  get resumed(): readonly ByteRange[] {
    return this.#inner.resumed;
  }
  get claimed(): readonly ByteRange[] {
    return this.#inner.claimed;
  }
  get done(): readonly ByteRange[] {
    return this.#inner.done;
  }
  get front(): number {
    return this.#inner.front;
  }

  async checkClaims(options: ClaimsOptions = {}): Promise<void> {
    await this.#inner.checkClaims({
      ...options,
      onHeld: (range) => {
        this.#arrived(range.start, range.end);
        options.onHeld?.(range);
      },
    });
  }

  async checkFirst(start: number, end: number): Promise<void> {
    await this.#inner.checkFirst?.(start, end);
  }

  async write(position: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    await this.#inner.write(position, bytes, options);
    this.#arrived(position, position + bytes.length);
  }

  async writeZeros(position: number, length: number): Promise<void> {
    await this.#inner.writeZeros(position, length);
    this.#arrived(position, position + length);
  }

  share(position: number, range: FileRange): Promise<boolean> {
    return this.#inner.share(position, range);
  }

  forget(position: number, length: number): void {
    this.#here.delete(position, position + length);
    this.#inner.forget(position, length);
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const reading = this.#inner.read(position, length);
    this.#reads.add(reading);
    return await reading.finally(() => this.#reads.delete(reading));
  }

  waitFront(position: number, signal?: AbortSignal): Promise<void> {
    return this.#inner.waitFront(position, signal);
  }

  checkpoint(): Promise<void> {
    return this.#inner.checkpoint();
  }

  commit(computed: Parameters<Ingest["commit"]>[0]): Promise<ContentInfo> {
    return this.#inner.commit(computed);
  }

  discard(): Promise<void> {
    return this.#inner.discard();
  }

  fail(error: unknown): void {
    this.#inner.fail(error);
  }

  /** Lets those finish who are reading. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#reads.size > 0) await Promise.allSettled(this.#reads);
    await this.#inner[Symbol.asyncDispose]();
  }

  #arrived(start: number, end: number): void {
    this.#here.add(start, end);
    for (const waiter of this.#waiters) {
      if (waiter.position >= start && waiter.position < end) waiter.settle();
    }
  }
}
