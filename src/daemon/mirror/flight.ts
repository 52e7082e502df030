/**
 * One blob on its way from a registry into the store, for any number of readers: one fetch, by the assembler, with its attempts, ranges and
 * journal. Readers are sent the bytes as they arrive, wherever in the blob these are. What ends at the blob's end is held back by its last
 * bytes until the digest of the whole is known to be right, so that nobody takes for whole what is wrong: his connection ends short.
 */
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { planFull } from "../../plan/full.ts";
import { planResume } from "../../plan/resume.ts";
import { assemble } from "../../recipe/assembler.ts";
import type { TransferBudget } from "../../recipe/limiter.ts";
import type { ProgressSink } from "../../recipe/progress.ts";
import type { TransportEvent } from "../../registry/blob-source.ts";
import type { Ingest } from "../../store/types.ts";
import { Ahead } from "./ahead.ts";
import { FirstByte } from "./first-byte.ts";
import { untilAborted } from "../../registry/until-aborted.ts";
import type { Origins } from "./origins.ts";
import { openPlace, type PlaceOptions } from "./place.ts";
import { WatchedIngest } from "./watched-ingest.ts";

/** Each reader holds one or two: there may be a thousand. */
const CHUNK_BYTES = 256 << 10;
/** Larger blobs come by more than one connection, in ranges of this size or more. */
const ONE_STREAM_BYTES = 16 << 20;
const RANGE_BYTES = 8 << 20;
const CONNECTIONS = 2;
/** What goes on to the blob's end from no further than this behind its front is held back until the digest is right. */
const NEAR_BYTES = 4 << 20;

export interface FlightOptions extends Omit<PlaceOptions, "signal"> {
  readonly blob: Descriptor;
  readonly origins: Origins;
  readonly budget: TransferBudget;
  readonly onProgress: ProgressSink;
  readonly onEvent: (event: TransportEvent) => void;
  /** Of the daemon. */
  readonly signal: AbortSignal;
  /** Told when the last reader has left, and when one has come again. */
  readonly onWatched: (isWatched: boolean) => void;
}

type State =
  | { readonly kind: "opening" }
  | { readonly kind: "arriving"; readonly ingest: WatchedIngest; readonly ahead: Ahead }
  | { readonly kind: "stored" }
  | { readonly kind: "failed"; readonly error: VarveError };

export class Flight {
  readonly blob: Descriptor;
  readonly origins: Origins;
  readonly #options: FlightOptions;
  readonly #stop = new AbortController();
  #state: State = { kind: "opening" };
  /** Settles with the next change of the state; never rejects. */
  #changed = Promise.withResolvers<void>();
  #readers = 0;

  constructor(options: FlightOptions) {
    this.#options = options;
    this.blob = options.blob;
    this.origins = options.origins;
  }

  get isWatched(): boolean {
    return this.#readers > 0;
  }

  /** Nobody waits for it any more. What has come is kept. */
  stop(): void {
    this.#stop.abort(new VarveError("INTERRUPTED", `nobody waits for ${this.blob.digest} any more`));
  }

  /**
   * Fetches it.
   * @param prepare done before; when it fails, so does the fetch
   * @returns the bytes that came over the network @throws VarveError, which readers get as well
   */
  async run(prepare: () => Promise<void>): Promise<number> {
    const signal = AbortSignal.any([this.#options.signal, this.#stop.signal]);
    try {
      await prepare();
      const place = await openPlace(this.blob, { ...this.#options, signal });
      if ("commit" in place) return await this.#fill(place, signal);
      this.#enter({ kind: "stored" });
      return 0;
    } catch (thrown) {
      throw this.#failed(thrown);
    }
  }

  /**
   * Bytes `[start, end)` in order, as they arrive.
   * @throws what the fetch failed with, and then what was given is not to be trusted; the signal's reason
   */
  async *read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    if (this.#readers++ === 0) this.#options.onWatched(true);
    let limit: number | undefined;
    try {
      for (let at = start; at < end;) {
        const state = this.#state;
        if (state.kind === "failed") throw state.error;
        if (state.kind === "stored") {
          return yield* this.#options.store.content.read(this.blob.digest, { start: at, end, signal });
        }
        if (state.kind === "arriving") {
          limit ??= this.#mayGive(start, end, state.ingest);
          const until = Math.min(limit, state.ingest.hereUntil(at), at + CHUNK_BYTES);
          if (until > at) {
            yield await state.ingest.read(at, until - at);
            at = until;
          } else if (at < limit) {
            state.ahead.want(at, end);
            await state.ingest.changed(at, signal);
          } else await untilAborted(this.#changed.promise, signal);
        } else await untilAborted(this.#changed.promise, signal);
      }
    } finally {
      if (--this.#readers === 0) this.#options.onWatched(false);
    }
  }

  /** How far a reader may come before the whole is verified. A part of the blob from its midst is checked by who puts the parts together. */
  #mayGive(start: number, end: number, { front }: Ingest): number {
    const isRest = end === this.blob.size && start <= front + NEAR_BYTES;
    return isRest ? end - Math.min(end - start, 1) : end;
  }

  async #fill(place: Ingest, signal: AbortSignal): Promise<number> {
    await using ingest = new WatchedIngest(place);
    const { budget, onProgress, onEvent, origins } = this.#options;
    using patience = new FirstByte(place, (error) => this.#stop.abort(error));
    const inner = new AbortController();
    const parts = { blob: this.blob, ingest, budget, blobs: origins, onEvent };
    const ahead = new Ahead({ ...parts, signal: AbortSignal.any([signal, inner.signal]) });
    this.#enter({ kind: "arriving", ingest, ahead });
    try {
      const report = await assemble(this.#plan(ingest).recipe, {
        ingest,
        blobs: {
          readBlob: (...asked) => {
            patience.begin();
            return ahead.readBlob(...asked);
          },
        },
        budget,
        concurrency: CONNECTIONS,
        signal,
        onProgress: (event) => {
          patience.onProgress(event);
          onProgress(event);
        },
      });
      await ingest.commit(report);
      this.#enter({ kind: "stored" });
      return report.bytes.network;
    } catch (thrown) {
      // Before the ingest is closed: who reads it then sees why there is no more of it.
      throw this.#failed(thrown);
    } finally {
      inner.abort(new VarveError("INTERRUPTED", `${this.blob.digest} is done with`));
    }
  }

  #plan(ingest: Ingest): ReturnType<typeof planFull> {
    const [first] = this.origins.all;
    const ranges = first?.client.supportsRanges(first.reference);
    const cut = { connections: CONNECTIONS, minParallelSize: ONE_STREAM_BYTES, rangeSize: RANGE_BYTES };
    const full = planFull(this.blob, { ranges, ...cut });
    const here = [...ingest.done, ...ingest.claimed];
    return ranges === false ? full : planResume(full, here);
  }

  #failed(thrown: unknown): VarveError {
    const error = toVarveError(thrown, `fetching ${this.blob.digest}`);
    if (this.#state.kind === "failed") return error;
    if (isVarveError(error, "DIGEST_MISMATCH") || isVarveError(error, "SIZE_MISMATCH"))
      this.origins.distrust(this.blob);
    this.#enter({ kind: "failed", error });
    return error;
  }

  #enter(state: State): void {
    const before = this.#state;
    this.#state = state;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    if (before.kind === "arriving") before.ingest.wake();
  }
}
