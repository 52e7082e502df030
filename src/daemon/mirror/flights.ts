/**
 * All blobs that are on their way: one fetch for a digest, whoever asks for it. A fetch that nobody waits for any more goes on, since who broke
 * off asks again as a rule, and others after him; but only so many do, for else whoever opens connections and closes them could have this machine
 * fetch everything. The one that was left the longest ends first, and what it has got stays for the next who asks.
 */
import { isVarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { BlobSource, TransportEvent } from "../../registry/blob-source.ts";
import type { Lease } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";
import type { Daemon } from "../daemon.ts";
import { Flight } from "./flight.ts";
import { HostBudgets } from "./host-budgets.ts";
import { untilAborted } from "../../registry/until-aborted.ts";
import { Origins } from "./origins.ts";
import type { Upstream } from "./upstreams.ts";

/** That nobody waits for. */
const MOST_LEFT = 8;
/** Of one registry: they must not hold half of its transfers. */
const MOST_LEFT_OF_HOST = 2;
const LEFT_MS = 15 * 60_000;
const MOST_REMEMBERED = 1000;

export interface FlightsOptions {
  readonly daemon: Pick<Daemon, "metrics" | "log" | "signal">;
  readonly store: Store;
  /** As in `PlaceOptions`. */
  readonly otherMs: number;
  readonly onEvent: (event: TransportEvent) => void;
  /** Called when a blob has come. */
  readonly onStored: () => void;
}

export interface JoinOptions {
  /** What can make it here. */
  readonly own: BlobSource | undefined;
  /** As in `PlaceOptions`. */
  readonly isShared: boolean;
}

export interface Joining {
  readonly flight: Flight;
  readonly joined: boolean;
}

export class Flights implements AsyncDisposable {
  readonly #options: FlightsOptions;
  readonly #flights = new Map<Digest, Flight>();
  /** In the order in which they were left, with what ends them. */
  readonly #left = new Map<Flight, NodeJS.Timeout>();
  readonly #running = new Map<Flight, Promise<void>>();
  readonly #budgets = new HostBudgets();
  /** What has not come whole of late, and whose bytes of it are here. */
  readonly #begun = new Map<Digest, ReadonlySet<string>>();
  /** What came out wrong of late. */
  readonly #doubtful = new Set<Digest>();
  #lease: Promise<Lease> | undefined;

  constructor(options: FlightsOptions) {
    this.#options = options;
  }

  get(digest: Digest): Flight | undefined {
    return this.#flights.get(digest);
  }

  /** Whether one is under way that this repository has a part in. */
  isFrom(digest: Digest, upstream: Upstream): boolean {
    return this.#flights.get(digest)?.origins.has(upstream) === true;
  }

  /** Whether there is none from a registry on which others had better not wait. */
  mayJoin(digest: Digest, { reference: { host } }: Upstream): boolean {
    const all = this.#flights.get(digest)?.origins.all ?? [];
    return all.every(({ isTrusted, reference }) => isTrusted || reference.host === host);
  }

  /** Whether one is under way from the same registry. */
  isOfHost(digest: Digest, { reference: { host } }: Upstream): boolean {
    return this.#flights.get(digest)?.origins.all.some(({ reference }) => reference.host === host) === true;
  }

  /** Whether what an earlier one left is of this repository. */
  hasBegun(digest: Digest, { key }: Upstream): boolean {
    return this.#begun.get(digest)?.has(key.name) === true;
  }

  /** Settles when it is over. @throws the signal's reason */
  async ended(flight: Flight, signal: AbortSignal): Promise<void> {
    await untilAborted(this.#running.get(flight) ?? Promise.resolve(), signal);
  }

  /** The one that is under way, or a new one. */
  join(blob: Descriptor, upstream: Upstream, { own, isShared }: JoinOptions): Joining {
    const found = this.#flights.get(blob.digest);
    if (found !== undefined) {
      found.origins.add(upstream);
      return { flight: found, joined: true };
    }
    const begun = this.hasBegun(blob.digest, upstream);
    const flight: Flight = new Flight({
      ...this.#options,
      blob,
      isShared: isShared || begun,
      origins: new Origins(upstream, this.#doubtful.has(blob.digest) ? undefined : own),
      budget: this.#budgets.of(upstream.reference.host),
      signal: this.#options.daemon.signal,
      onProgress: (event) => {
        if (event.type === "retry") this.#options.daemon.metrics.retried(event.host);
        else if (event.type === "fallback") this.#options.daemon.metrics.fellBack(event.from);
      },
      onWatched: (isWatched) => this.#watched(flight, isWatched),
    });
    this.#flights.set(blob.digest, flight);
    this.#running.set(
      flight,
      this.#run(flight).finally(() => this.#running.delete(flight)),
    );
    return { flight, joined: false };
  }

  /** Settles when none is under way. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
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
      const network = await flight.run(async () => {
        lease = await this.#leased();
        // From before it is there until a repository has it, nobody may take it for garbage.
        await lease.add(digest);
      });
      daemon.metrics.bytes("network", network);
      for (const { key } of flight.origins.all) await store.repositories.addBlob(key, digest);
    } catch (error) {
      const code = isVarveError(error) ? error.code : "INTERNAL";
      if (code === "DIGEST_MISMATCH") this.#doubt(digest);
      else this.#leave(flight);
      daemon.log.warn({ code, digest, error }, "a blob did not come from upstream");
    } finally {
      this.#flights.delete(digest);
      clearTimeout(this.#left.get(flight));
      this.#left.delete(flight);
      await lease?.drop(digest).catch(() => undefined);
      onStored();
    }
  }

  /** One for all; taken again when that has failed. */
  async #leased(): Promise<Lease> {
    const lease = (this.#lease ??= this.#options.store.leases.create());
    lease.catch(() => {
      if (this.#lease === lease) this.#lease = undefined;
    });
    return await lease;
  }

  /** Who has sent a part of it may have that again. */
  #leave({ blob, origins }: Flight): void {
    this.#begun.delete(blob.digest);
    this.#begun.set(blob.digest, new Set(origins.all.map(({ key }) => key.name)));
    if (this.#begun.size > MOST_REMEMBERED) this.#begun.delete(this.#begun.keys().next().value!);
  }

  #doubt(digest: Digest): void {
    this.#doubtful.add(digest);
    if (this.#doubtful.size > MOST_REMEMBERED) this.#doubtful.delete(this.#doubtful.values().next().value!);
  }

  #watched(flight: Flight, isWatched: boolean): void {
    clearTimeout(this.#left.get(flight));
    this.#left.delete(flight);
    if (isWatched || this.#flights.get(flight.blob.digest) !== flight) return;
    this.#left.set(flight, setTimeout(() => flight.stop(), LEFT_MS).unref());
    const same = [...this.#left.keys()].filter((other) => hostOf(other) === hostOf(flight));
    if (same.length > MOST_LEFT_OF_HOST) same[0]?.stop();
    else if (this.#left.size > MOST_LEFT) this.#left.keys().next().value?.stop();
  }
}

function hostOf({ origins }: Flight): string {
  return origins.all[0]?.reference.host ?? "";
}
