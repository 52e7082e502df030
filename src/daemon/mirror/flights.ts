/**
 * All blobs that are on their way: one fetch for a digest, whoever asks for it. A fetch that nobody waits for any more goes on, since who broke
 * off asks again as a rule, and others after him; but only so many do, for else whoever opens connections and closes them could have this machine
 * fetch everything. The one that was left the longest ends first, and what it has got stays for the next who asks.
 */
import { isVarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { TransferBudget } from "../../recipe/limiter.ts";
import type { BlobSource, TransportEvent } from "../../registry/blob-source.ts";
import type { Lease } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";
import type { Daemon } from "../daemon.ts";
import { Flight } from "./flight.ts";
import { Origins } from "./origins.ts";
import type { Upstream } from "./upstreams.ts";

/** That nobody waits for. */
const MOST_LEFT = 8;
const CONCURRENCY = 16;
const MOST_DOUBTFUL = 1000;
const MEMORY_BYTES = 64 << 20;

export interface FlightsOptions {
  readonly daemon: Pick<Daemon, "metrics" | "log" | "signal">;
  readonly store: Store;
  /** As in `PlaceOptions`. */
  readonly otherMs: number;
  readonly onEvent: (event: TransportEvent) => void;
  /** Called when a blob has come. */
  readonly onStored: () => void;
}

export class Flights implements AsyncDisposable {
  readonly #options: FlightsOptions;
  readonly #flights = new Map<Digest, Flight>();
  /** In the order in which they were left. */
  readonly #left = new Set<Flight>();
  readonly #running = new Set<Promise<void>>();
  readonly #budget = new TransferBudget({ concurrency: CONCURRENCY, memoryBytes: MEMORY_BYTES });
  /** What came out wrong of late. */
  readonly #doubtful = new Set<Digest>();
  #lease: Promise<Lease> | undefined;

  constructor(options: FlightsOptions) {
    this.#options = options;
  }

  get(digest: Digest): Flight | undefined {
    return this.#flights.get(digest);
  }

  /**
   * The one that is under way, or a new one.
   * @param own what can make it here
   */
  join(blob: Descriptor, upstream: Upstream, own?: BlobSource): { readonly flight: Flight; readonly joined: boolean } {
    const found = this.#flights.get(blob.digest);
    if (found !== undefined) {
      found.origins.add(upstream);
      return { flight: found, joined: true };
    }
    const flight: Flight = new Flight({
      ...this.#options,
      blob,
      origins: new Origins(upstream, this.#doubtful.has(blob.digest) ? undefined : own),
      budget: this.#budget,
      signal: this.#options.daemon.signal,
      onProgress: (event) => {
        if (event.type === "retry") this.#options.daemon.metrics.retried(event.host);
        else if (event.type === "fallback") this.#options.daemon.metrics.fellBack(event.from);
      },
      onWatched: (isWatched) => this.#watched(flight, isWatched),
    });
    this.#flights.set(blob.digest, flight);
    const running = this.#run(flight).finally(() => this.#running.delete(running));
    this.#running.add(running);
    return { flight, joined: false };
  }

  /** Settles when none is under way. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Ends all, with what they have got written down. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const flight of this.#flights.values()) flight.stop();
    await this.settled();
    await (await this.#lease?.catch(() => undefined))?.release();
  }

  /** Never rejects: readers are told what went wrong. */
  async #run(flight: Flight): Promise<void> {
    const { daemon, store, onStored } = this.#options;
    const { digest } = flight.blob;
    let lease: Lease | undefined;
    try {
      lease = await (this.#lease ??= store.leases.create());
      // From before it is there until a repository has it, nobody may take it for garbage.
      await lease.add(digest);
      const network = await flight.run();
      daemon.metrics.bytes("network", network);
      for (const { key } of flight.origins.all) await store.repositories.addBlob(key, digest);
    } catch (error) {
      const code = isVarveError(error) ? error.code : "INTERNAL";
      if (code === "DIGEST_MISMATCH") this.#doubt(digest);
      daemon.log.warn({ code, digest, error }, "a blob did not come from upstream");
    } finally {
      this.#flights.delete(digest);
      this.#left.delete(flight);
      await lease?.drop(digest).catch(() => undefined);
      onStored();
    }
  }

  #doubt(digest: Digest): void {
    this.#doubtful.add(digest);
    if (this.#doubtful.size > MOST_DOUBTFUL) this.#doubtful.delete(this.#doubtful.values().next().value!);
  }

  #watched(flight: Flight, isWatched: boolean): void {
    this.#left.delete(flight);
    if (isWatched || this.#flights.get(flight.blob.digest) !== flight) return;
    this.#left.add(flight);
    if (this.#left.size > MOST_LEFT) this.#left.values().next().value?.stop();
  }
}
