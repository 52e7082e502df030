/**
 * What all tasks of one assembly share: the ingest they write to, the hash along its front, the counts, and the
 * one switch that stops everything. Errors met here (disk full, a write that fails, an abort) end the assembly; errors
 * of sources are met by the tasks, and another recipe may get around them.
 */
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import type { TransportEvent } from "../registry/blob-source.ts";
import { RangeSet } from "../store/range-set.ts";
import type { FileRange, WriteOptions } from "../store/types.ts";
import { FrontHasher } from "./front-hasher.ts";
import type { ResumableIngest } from "./linked-blocks.ts";
import type { PieceSink, WrittenCounts } from "./piece-writer.ts";
import { ProgressMeter } from "./progress-meter.ts";
import type { ProgressSink } from "./progress.ts";
import { warningOf } from "./transport-progress.ts";

export interface WorkOptions {
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ProgressSink | undefined;
  readonly clock: (() => number) | undefined;
}

export class Work implements PieceSink {
  readonly ingest: ResumableIngest;
  readonly meter: ProgressMeter;
  readonly emit: ProgressSink;
  requests = 0;
  retries = 0;
  resumedBytes: number;
  readonly #hasher: FrontHasher;
  readonly #checking: Promise<void>;
  readonly #stop = new AbortController();
  readonly #outer: AbortSignal | undefined;
  #failure: { readonly error: VarveError } | undefined;

  constructor(ingest: ResumableIngest, { signal, onProgress, clock }: WorkOptions) {
    this.ingest = ingest;
    this.emit = onProgress ?? (() => {});
    this.resumedBytes = this.here().bytes;
    this.meter = new ProgressMeter({
      digest: ingest.digest,
      total: ingest.size,
      done: this.resumedBytes,
      emit: this.emit,
      ...(clock === undefined ? {} : { clock }),
    });
    this.#hasher = new FrontHasher(ingest, (error) => this.fail(error));
    this.#outer = signal;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted === true) this.#onAbort();
    this.#checking = ingest.checkClaims({
      signal: this.#stop.signal,
      onHeld: () => this.#hasher.wake(),
      onLost: ({ start, end }) => this.#lost(end - start),
    });
    this.#checking.catch((error: unknown) => this.fail(error));
    this.#hasher.wake();
  }

  /** Aborted when the assembly cannot go on. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Why the assembly as a whole cannot go on, when it cannot. */
  get failure(): VarveError | undefined {
    return this.#failure?.error;
  }

  get readBack(): number {
    return this.#hasher.readBack;
  }

  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error: toVarveError(error, `assembling ${this.ingest.digest}`) };
    this.#stop.abort(this.#failure.error);
  }

  async write(
    position: number,
    bytes: Uint8Array,
    counts: Readonly<WrittenCounts>,
    options?: WriteOptions,
  ): Promise<void> {
    try {
      const writing = this.ingest.write(position, bytes, options);
      this.#hasher.offer(position, bytes); // hashed here and now when it is its turn, while the write is under way
      await writing.finally(() => this.#hasher.settle(position));
    } catch (error) {
      this.fail(error);
      throw error;
    }
    this.#placed(bytes.length - counts.held, counts);
  }

  /** As {@link ResumableIngest.share}. */
  async share(position: number, range: FileRange): Promise<boolean> {
    try {
      return await this.ingest.share(position, range);
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  async writeZeros(position: number, length: number): Promise<void> {
    try {
      await this.ingest.writeZeros(position, length);
    } catch (error) {
      this.fail(error);
      throw error;
    }
    this.#hasher.zeros(position, length);
    this.#placed(length, { zero: length, local: 0, data: 0 });
  }

  /** What is all of the target need not be hashed once more. */
  verified(position: number, length: number, digest: Digest): void {
    const { ingest } = this;
    if (position === 0 && length === ingest.size && digest === ingest.digest) this.#hasher.isKnown(true);
  }

  /** What the ingest holds now. */
  done(): RangeSet {
    return new RangeSet(this.ingest.done);
  }

  /** What need not be got: what is done, and what is still being checked. */
  here(): RangeSet {
    return new RangeSet([...this.ingest.done, ...this.ingest.claimed]);
  }

  /** Whether every byte is in place. */
  get isWhole(): boolean {
    return this.ingest.front === this.ingest.size;
  }

  /** Settles when it is known what of an earlier try holds; nothing is left to be checked then. */
  checked(): Promise<void> {
    return this.#checking;
  }

  /** Settles when that is known of a range, which is looked at before the others. */
  async checkedWithin(start: number, end: number): Promise<void> {
    await (this.ingest.checkFirst?.(start, end) ?? this.#checking);
  }

  /** A piece turned out to be wrong: what is in place of it is taken back, `resumed` bytes of which an earlier try left. */
  takeBack(position: number, length: number, resumed: number): void {
    this.#hasher.isKnown(false);
    const inPlace = new RangeSet(this.done().within(position, position + length)).bytes;
    this.ingest.forget(position, length);
    this.resumedBytes -= resumed;
    this.meter.advance(-inPlace);
  }

  readonly onTransport = (event: TransportEvent): void => {
    const { digest } = this.ingest;
    switch (event.type) {
      case "request":
        this.requests++;
        return;
      case "warning":
        return this.emit({ type: "warning", message: warningOf(event) });
      case "received":
        return this.meter.count("network", event.bytes);
      case "retry":
        this.retries++;
        return this.emit({ ...event, digest });
      case "failover":
        return this.emit({ ...event, digest });
      case "throttle":
        return this.emit(event);
      case "sent":
      case "position":
      case "queued":
      case "range-ignored":
        return;
    }
  };

  /** The digest and size of what is contiguous from byte 0. */
  async finish(): Promise<{ digest: Digest; size: number }> {
    const computed = await this.#hasher.finish();
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#leave();
    return computed;
  }

  /** After a failure, with no task under way: the journal gets what was done, if that is worth it. */
  async abandon({ save }: { readonly save: boolean }): Promise<void> {
    await this.#hasher.stop();
    // What cannot be recorded will be fetched again.
    if (save) await this.ingest.checkpoint().catch(() => {});
    this.#leave();
  }

  /** Bytes of an earlier try are not what they were. */
  #lost(bytes: number): void {
    this.resumedBytes -= bytes;
    this.meter.advance(-bytes);
  }

  #leave(): void {
    this.#outer?.removeEventListener("abort", this.#onAbort);
    this.meter.finish();
  }

  #placed(bytes: number, counts: Pick<WrittenCounts, "local" | "data" | "zero">): void {
    for (const kind of ["local", "data", "zero"] as const) {
      if (counts[kind] > 0) this.meter.count(kind, counts[kind]);
    }
    this.meter.advance(bytes);
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#outer?.reason;
    this.fail(
      reason instanceof VarveError
        ? reason
        : new VarveError("INTERRUPTED", `interrupted while getting ${this.ingest.digest}`, { cause: reason }),
    );
  };
}
