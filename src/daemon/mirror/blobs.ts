/**
 * Blobs through a mirror: from the store, from a fetch that is under way, or by a new one. The store has content of all registries, and knows
 * nothing of who may have it; so a blob is given only through a repository that was seen to have it (access.ts).
 */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { TransportEvent } from "../../registry/blob-source.ts";
import type { Store } from "../../store/store.ts";
import type { ByteRange, ContentInfo } from "../../store/types.ts";
import type { Daemon } from "../daemon.ts";
import type { Asked, ServedBlob } from "../distribution/types.ts";
import { accessTo, type Access } from "./access.ts";
import { readDirectly } from "./direct.ts";
import type { Flights, Joining } from "./flights.ts";
import { Joined } from "./joined.ts";
import type { KnownBlobs } from "./known-blobs.ts";
import { isStoreTrouble, noted } from "./noting.ts";
import { Origins } from "./origins.ts";
import { withPatience } from "./patience.ts";
import type { Upstream } from "./upstreams.ts";

const PATIENCE = { retries: 2, ms: 30_000 };
export interface BlobsOptions {
  readonly daemon: Pick<Daemon, "metrics" | "log" | "signal">;
  readonly store: Store;
  readonly known: KnownBlobs;
  readonly flights: Flights;
  readonly onEvent: (event: TransportEvent) => void;
}

interface Arriving extends Access {
  readonly upstream: Upstream;
}

export class MirrorBlobs {
  readonly #options: BlobsOptions;
  readonly #asking = new Joined<number | undefined>();

  constructor(options: BlobsOptions) {
    this.#options = options;
  }

  /** Fetches nothing before the first read. @returns undefined when the repository has none */
  async get(upstream: Upstream, digest: Digest, { signal }: Asked): Promise<ServedBlob | undefined> {
    const { store, daemon } = this.#options;
    const ask = (who: Upstream, what: Digest): Promise<number | undefined> => this.#ask(who, what, signal);
    const access = await accessTo(upstream, digest, { ...this.#options, ask });
    if (access === undefined) return undefined;
    const info = access.isProved ? await store.content.stat(digest) : undefined;
    if (info !== undefined) {
      if ((await store.repositories.blob(upstream.key, digest)) === undefined) {
        await noted(daemon.log, { digest }, () => store.repositories.addBlob(upstream.key, digest));
      }
      store.repositories.noteUse(upstream.key, digest);
      daemon.metrics.cache("blob", "hit");
      return this.#held(info);
    }
    const arriving = { ...access, upstream };
    const { size } = access.blob;
    return { digest, size, read: (start, end, reader) => this.#read(arriving, { start, end }, reader) };
  }

  #held({ digest, size, path }: ContentInfo): ServedBlob {
    const { content } = this.#options.store;
    return { digest, size, path, read: (start, end, signal) => content.read(digest, { start, end, signal }) };
  }

  async *#read(arriving: Arriving, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { daemon, flights } = this.#options;
    for (let tries = 1; ; tries++) {
      const joining = await this.#flight(arriving, signal);
      if (joining === undefined) return yield* this.#readApart(arriving, range, signal);
      const { flight, joined } = joining;
      let hasBegun = false;
      try {
        for await (const chunk of flight.read(range.start, range.end, signal)) {
          hasBegun = true;
          yield chunk;
        }
        return;
      } catch (error) {
        if (hasBegun || signal.aborted || !isVarveError(error)) throw error;
        if (isStoreTrouble(error)) {
          daemon.log.warn({ code: error.code, digest: flight.blob.digest }, "a blob is sent on without being stored");
          return yield* this.#readApart(arriving, range, signal);
        }
        // What stood in another's way need not stand in this one's.
        if (!joined || tries > 1) throw error;
        await flights.ended(flight, signal);
      }
    }
  }

  /** The fetch that this asker may read along with; undefined when there is another one that he may not. */
  async #flight({ upstream, blob, ...access }: Arriving, signal: AbortSignal): Promise<Joining | undefined> {
    const { flights, daemon } = this.#options;
    let { isProved } = access;
    if (access.isApart || !flights.mayJoin(blob.digest, upstream)) return undefined;
    // Somebody may have begun to fetch it since this one was let in.
    if (!isProved && flights.get(blob.digest) !== undefined && !flights.isFrom(blob.digest, upstream)) {
      if (!upstream.isTrusted) return undefined;
      isProved = (await this.#ask(upstream, blob.digest, signal)) !== undefined;
      if (!isProved) throw new VarveError("BLOB_UNKNOWN", `${upstream.key.name} has no blob ${blob.digest}`);
    }
    const joining = flights.join(blob, upstream, { own: access.own, isShared: isProved });
    daemon.metrics.cache("blob", joining.joined ? "joined" : "miss");
    return joining;
  }

  /** Straight from upstream. What has come whole that way was seen to be there. */
  async *#readApart({ upstream, blob }: Arriving, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { store, daemon, onEvent } = this.#options;
    daemon.metrics.cache("blob", "miss");
    const { digest } = blob;
    const onVerified = (): Promise<unknown> =>
      noted(daemon.log, { digest }, () => store.repositories.addBlob(upstream.key, digest));
    yield* readDirectly(blob, new Origins(upstream), range, { signal, onEvent, onVerified });
  }

  /** Whether the repository has it, and of what size, as its registry says. */
  async #ask({ client, reference, key }: Upstream, digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    const { daemon, onEvent } = this.#options;
    const what = `blob ${key.name} ${digest}`;
    const { value } = await this.#asking.get(what, signal, () =>
      withPatience(what, { ...PATIENCE, signal: daemon.signal, onEvent }, (caller) =>
        client.statBlob(reference, digest, caller),
      ),
    );
    return value;
  }
}
