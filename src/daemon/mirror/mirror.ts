/**
 * A pull-through cache of other registries: a content source whose names are `HOST/NAME`. What it lacks comes
 * from there by all means that a pull has, and what it has got it shares with the pulls of this store.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { TransportEvent } from "../../registry/blob-source.ts";
import type { Store } from "../../store/store.ts";
import type { MirrorConfig } from "../config/types.ts";
import type { Daemon } from "../daemon.ts";
import type { Asked, ContentSource, ServedBlob, ServedManifest } from "../distribution/types.ts";
import { MirrorBlobs } from "./blobs.ts";
import { MirrorDocuments, type ResolvedManifest } from "./documents.ts";
import { Evictor } from "./evictor.ts";
import { Flights } from "./flights.ts";
import { KnownBlobs } from "./known-blobs.ts";
import { listReferrers, listTags, type ListingParts } from "./listings.ts";
import { forClients } from "./refusals.ts";
import { daemonName, Upstreams, type Upstream, type UpstreamsOptions } from "./upstreams.ts";

export interface MirrorOptions extends Pick<UpstreamsOptions, "openRegistry" | "ownPorts"> {
  readonly daemon: Daemon;
  readonly store: Store;
  /** Milliseconds for which another process at the same blob may get no further before it is sent on without the store. Default 10,000. */
  readonly otherMs?: number;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

export class Mirror implements ContentSource, AsyncDisposable {
  readonly #parts: ListingParts;
  readonly #upstreams: Upstreams;
  readonly #flights: Flights;
  readonly #evictor: Evictor;
  readonly #documents: MirrorDocuments;
  readonly #blobs: MirrorBlobs;

  constructor({ daemon, store, openRegistry, ownPorts, otherMs = 10_000, now = Date.now }: MirrorOptions) {
    const known = new KnownBlobs();
    const onEvent = (event: TransportEvent): void => {
      if (event.type === "retry") daemon.metrics.retried(event.host);
    };
    const config = (): MirrorConfig => daemon.config().mirror;
    this.#upstreams = new Upstreams({ config, openRegistry, ownPorts, via: daemonName() });
    this.#flights = new Flights({ daemon, store, otherMs, onEvent, onStored: () => this.#evictor.wake() });
    this.#evictor = new Evictor({ daemon, store, now, isInUse: (digest) => this.#flights.get(digest) !== undefined });
    this.#documents = new MirrorDocuments({ daemon, store, known, onEvent, now });
    this.#blobs = new MirrorBlobs({ daemon, store, known, flights: this.#flights, onEvent });
    this.#parts = { daemon, store, onEvent };
  }

  async resolve(name: string, reference: string, asked: Asked): Promise<ResolvedManifest | undefined> {
    return await this.#at(name, asked, (upstream) => this.#documents.resolve(upstream, reference, asked));
  }

  async manifest(name: string, reference: string, asked: Asked): Promise<ServedManifest | undefined> {
    return await this.#at(name, asked, (upstream) => this.#documents.get(upstream, reference, asked));
  }

  async blob(name: string, digest: Digest, asked: Asked): Promise<ServedBlob | undefined> {
    return await this.#at(name, asked, async (upstream) => {
      const blob = await this.#blobs.get(upstream, digest, asked);
      if (blob === undefined) return undefined;
      return { ...blob, read: (...range) => readForClients(blob.read(...range), upstream) };
    });
  }

  async tags(name: string, asked: Asked): Promise<readonly string[] | undefined> {
    return await this.#at(name, asked, (upstream) => listTags(upstream, this.#parts));
  }

  async referrers(name: string, subject: Digest, asked: Asked): Promise<readonly Descriptor[]> {
    return await this.#at(name, asked, (upstream) => listReferrers(upstream, subject, this.#parts));
  }

  /** Settles when the cache has been cut down as far as it has to be. */
  async settled(): Promise<void> {
    await this.#flights.settled();
    await this.#evictor.settled();
  }

  /** Ends what is on its way; its partial data stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flights[Symbol.asyncDispose]();
    await this.#evictor[Symbol.asyncDispose]();
    await this.#upstreams[Symbol.asyncDispose]();
  }

  async #at<T>(name: string, asked: Asked, work: (upstream: Upstream) => Promise<T>): Promise<T> {
    const upstream = await this.#upstreams.find(name, asked);
    try {
      return await work(upstream);
    } catch (error) {
      throw forClients(error, upstream);
    }
  }
}

/** What a registry says first when it is asked for bytes concerns clients as much as what it says before. */
async function* readForClients(bytes: AsyncIterable<Uint8Array>, upstream: Upstream): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    throw forClients(error, upstream);
  }
}
