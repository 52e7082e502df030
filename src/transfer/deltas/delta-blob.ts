/**
 * A delta on its way here: a blob in an ingest of its own, which goes on where an earlier try stopped, and which is read from its first byte on while
 * the rest still comes. It never becomes content of the store: when the layer is made, nobody needs it any more.
 */
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { assemble, type AssemblyReport } from "../../recipe/assembler.ts";
import { followFront } from "../../recipe/follow-front.ts";
import type { TransferBudget } from "../../recipe/limiter.ts";
import type { ProgressSink } from "../../recipe/progress.ts";
import type { ContentInfo, Ingest } from "../../store/types.ts";
import type { TransferContext } from "../context.ts";
import { madeMeanwhile } from "../make-layer.ts";
import { planFetch } from "../plan-fetch.ts";
import { Tally } from "../tally.ts";
import type { DeltaPlace } from "./types.ts";

export interface DeltaBlobOptions {
  readonly place: DeltaPlace;
  readonly signal: AbortSignal;
  /** Wait for another process that gets the same. */
  readonly wait: boolean;
  readonly budget: TransferBudget;
  readonly priority: number;
  readonly layersLeft: number;
  readonly onProgress: ProgressSink;
  /** Asked when another process may have been at it: whether what it is for is here. Default: it is not. */
  readonly isMade?: () => Promise<boolean>;
}

export class DeltaBlob implements AsyncDisposable {
  readonly #context: TransferContext;
  readonly #held: Ingest | ContentInfo;
  readonly #stop = new AbortController();
  readonly #tally = new Tally();
  readonly #arriving: Promise<AssemblyReport | undefined>;

  private constructor(
    context: TransferContext,
    blob: Descriptor,
    held: Ingest | ContentInfo,
    options: DeltaBlobOptions,
  ) {
    this.#context = context;
    this.#held = held;
    this.#arriving = "commit" in held ? this.#fetch(blob, held, options) : Promise.resolve(undefined);
    // Who waits for it, or reads it, is told.
    this.#arriving.catch(() => undefined);
  }

  /**
   * Begins to fetch it, unless it is here. The caller has leased it.
   * @throws VarveError as `ContentStore.ingest`; `STORE_BUSY` with `detail.made` when it is not needed any more
   */
  static async open(context: TransferContext, blob: Descriptor, options: DeltaBlobOptions): Promise<DeltaBlob> {
    const { signal, wait } = options;
    const held = await context.store.content.ingest(blob, { signal, wait, check: "later" });
    if ((await options.isMade?.()) !== true) return new DeltaBlob(context, blob, held, options);
    if ("commit" in held) {
      await using ingest = held;
      await ingest.discard();
    }
    throw madeMeanwhile();
  }

  /** What it has cost the network so far. */
  get moved(): Tally {
    return this.#tally;
  }

  /** Its bytes from the first on, as they come; not verified before {@link whole} has settled. @throws what fetching it throws */
  read(signal: AbortSignal): AsyncIterable<Uint8Array> {
    if ("commit" in this.#held) return followFront(this.#held, { signal });
    return this.#context.store.content.read(this.#held.digest, { signal });
  }

  /** Settles when all of it is here and has the right digest. @returns bytes that an earlier try had left @throws what fetching it throws */
  async whole(): Promise<number> {
    return (await this.#arriving)?.resumedBytes ?? 0;
  }

  /** Nobody needs it any more. Content that was here before stays. */
  async drop(): Promise<void> {
    await this.#end();
    if ("commit" in this.#held) await this.#held.discard();
  }

  /** Stops fetching it; what came is kept for who tries again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    if ("commit" in this.#held) await this.#held[Symbol.asyncDispose]();
  }

  async #end(): Promise<void> {
    this.#stop.abort(new VarveError("INTERRUPTED", "nobody needs the delta any more"));
    await this.#arriving.catch(() => undefined);
  }

  async #fetch(blob: Descriptor, ingest: Ingest, options: DeltaBlobOptions): Promise<AssemblyReport> {
    const { place, signal, layersLeft, budget, priority, onProgress } = options;
    const { concurrency } = budget;
    const { recipe } = planFetch(blob, { done: ingest.resumed, ranges: place.ranges(), layersLeft, concurrency });
    try {
      return await assemble(recipe, {
        ingest,
        blobs: this.#tally.counting(place.blobs),
        budget,
        concurrency,
        priority,
        signal: AbortSignal.any([signal, this.#stop.signal]),
        onProgress,
      });
    } catch (thrown) {
      const error = toVarveError(thrown);
      // A proxy or a mirror may have erred: who tries again asks another one.
      if (error.code === "DIGEST_MISMATCH" || error.code === "SIZE_MISMATCH") place.distrust(blob.digest);
      throw error;
    }
  }
}
