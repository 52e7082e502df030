/**
 * Blobs through a mirror: from the store, from a fetch that is under way, or by a new one. The store has content of all registries, and knows
 * nothing of who may have it; so a blob is given only through a repository that has been seen to have it: it came from there, or its registry
 * has said so.
 */
import { isVarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { BlobSource, TransportEvent } from "../../registry/blob-source.ts";
import type { Store } from "../../store/store.ts";
import type { ByteRange, ContentInfo } from "../../store/types.ts";
import type { Daemon } from "../daemon.ts";
import type { Asked, ServedBlob } from "../distribution/types.ts";
import { readDirectly } from "./direct.ts";
import type { Flights } from "./flights.ts";
import { Joined } from "./joined.ts";
import { keptTar, mayBeKept } from "./kept-tar.ts";
import type { KnownBlobs } from "./known-blobs.ts";
import { withPatience } from "./patience.ts";
import type { Upstream } from "./upstreams.ts";

const PATIENCE = { retries: 2, ms: 30_000 };
/** What stands in the way of storing and not of sending. */
const NOT_STORED: ReadonlySet<string> = new Set(["STORE_BUSY", "STORE_READ_ONLY", "NO_SPACE", "PERMISSION", "IO"]);

export interface BlobsOptions {
  readonly daemon: Pick<Daemon, "metrics" | "log" | "signal">;
  readonly store: Store;
  readonly known: KnownBlobs;
  readonly flights: Flights;
  readonly onEvent: (event: TransportEvent) => void;
}

interface Arriving {
  readonly upstream: Upstream;
  readonly blob: Descriptor;
  /** What can make it here. */
  readonly own: BlobSource | undefined;
}

export class MirrorBlobs {
  readonly #options: BlobsOptions;
  readonly #asking = new Joined<number | undefined>();

  constructor(options: BlobsOptions) {
    this.#options = options;
  }

  /** Fetches nothing before the first read. @returns undefined when the repository has none */
  async get(upstream: Upstream, digest: Digest, { signal }: Asked): Promise<ServedBlob | undefined> {
    const { store, daemon, known, flights } = this.#options;
    const { repositories, content } = store;
    const { key } = upstream;
    const recorded = (await repositories.blob(key, digest)) ?? (await repositories.manifest(key, digest));
    const info = await content.stat(digest);
    const isProved = recorded !== undefined || flights.get(digest)?.origins.has(upstream) === true;
    if (info !== undefined) {
      if (!isProved && (await this.#ask(upstream, digest, signal)) === undefined) return undefined;
      if (recorded === undefined) await repositories.addBlob(key, digest);
      repositories.noteUse(key, digest);
      daemon.metrics.cache("blob", "hit");
      return this.#held(info);
    }
    const listed = known.get(key, digest);
    const isKept = listed !== undefined && (await mayBeKept(store, listed));
    const isElsewhere = isKept || flights.get(digest) !== undefined;
    if (isElsewhere && !isProved && (await this.#ask(upstream, digest, signal)) === undefined) return undefined;
    const size = recorded?.size ?? listed?.size ?? (await this.#ask(upstream, digest, signal));
    if (size === undefined) return undefined;
    const blob = { mediaType: "application/octet-stream", ...listed, digest, size };
    const own = isKept ? keptTar(store) : undefined;
    return { digest, size, read: (start, end, reader) => this.#read({ upstream, blob, own }, { start, end }, reader) };
  }

  #held({ digest, size, path }: ContentInfo): ServedBlob {
    const { content } = this.#options.store;
    return { digest, size, path, read: (start, end, signal) => content.read(digest, { start, end, signal }) };
  }

  async *#read({ upstream, blob, own }: Arriving, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { daemon, flights, onEvent } = this.#options;
    const { flight, joined } = flights.join(blob, upstream, own);
    daemon.metrics.cache("blob", joined ? "joined" : "miss");
    let hasBegun = false;
    try {
      for await (const chunk of flight.read(range.start, range.end, signal)) {
        hasBegun = true;
        yield chunk;
      }
    } catch (error) {
      if (hasBegun || signal.aborted || !isVarveError(error) || !NOT_STORED.has(error.code)) throw error;
      daemon.log.warn({ code: error.code, digest: blob.digest }, "a blob is sent on without being stored");
      yield* readDirectly(blob, flight.origins, range, { signal, onEvent });
    }
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
