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
import { keptForms, keptTar } from "./kept-tar.ts";
import type { KnownBlobs } from "./known-blobs.ts";
import { Origins } from "./origins.ts";
import { withPatience } from "./patience.ts";
import { believes } from "./provenance.ts";
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

/**
 * What of a blob may be shared with a repository: all that is here (`own`, it was seen to have it, or its registry is believed); the same once the
 * registry has said that it has it (`word`); nothing, but it may bring it (`alone`); nothing, and somebody else brings it or has (`apart`).
 */
interface Sharing {
  readonly how: "own" | "word" | "alone" | "apart";
  /** What can make it here. */
  readonly own: BlobSource | undefined;
}

interface Arriving extends Sharing {
  readonly upstream: Upstream;
  readonly blob: Descriptor;
}

export class MirrorBlobs {
  readonly #options: BlobsOptions;
  readonly #asking = new Joined<number | undefined>();

  constructor(options: BlobsOptions) {
    this.#options = options;
  }

  /** Fetches nothing before the first read. @returns undefined when the repository has none */
  async get(upstream: Upstream, digest: Digest, { signal }: Asked): Promise<ServedBlob | undefined> {
    const { store, known } = this.#options;
    const { repositories } = store;
    const { key } = upstream;
    const recorded = (await repositories.blob(key, digest)) ?? (await repositories.manifest(key, digest));
    const info = await store.content.stat(digest);
    if (recorded !== undefined && info !== undefined) return this.#held(upstream, info);
    const listed = known.get(key, digest);
    const sharing = await this.#sharing(upstream, digest, recorded !== undefined, info !== undefined, listed);
    const mustAsk = sharing.how === "word" || (listed ?? recorded) === undefined;
    const size = mustAsk ? await this.#ask(upstream, digest, signal) : (recorded?.size ?? listed?.size);
    if (size === undefined) return undefined;
    if (sharing.how === "word" && info !== undefined) {
      await repositories.addBlob(key, digest);
      return this.#held(upstream, info);
    }
    const blob = { mediaType: "application/octet-stream", ...listed, digest, size };
    const arriving = { upstream, blob, ...sharing };
    return { digest, size, read: (start, end, reader) => this.#read(arriving, { start, end }, reader) };
  }

  /** Whether a repository that was not seen to have it may have what is here or on its way, at its registry's word. */
  async #sharing(
    upstream: Upstream,
    digest: Digest,
    isRecorded: boolean,
    isHere: boolean,
    listed: Descriptor | undefined,
  ): Promise<Sharing> {
    const { store, flights } = this.#options;
    const flight = flights.get(digest);
    if (isRecorded) return { how: "own", own: undefined };
    const forms = listed === undefined ? [] : await keptForms(store, listed);
    const isElsewhere = isHere || flight !== undefined || forms.length > 0;
    const isKnown = flight?.origins.all.some(({ reference }) => reference.host === upstream.reference.host) === true;
    const isBelieved = isKnown || (await believes(store, upstream, digest, ...forms));
    if (!isHere && flight?.origins.has(upstream) === true) return { how: "alone", own: undefined };
    if (isElsewhere && isBelieved) return { how: "word", own: forms.length > 0 ? keptTar(store) : undefined };
    return { how: isHere || flight !== undefined ? "apart" : isBelieved ? "own" : "alone", own: undefined };
  }

  #held(upstream: Upstream, { digest, size, path }: ContentInfo): ServedBlob {
    const { store, daemon } = this.#options;
    store.repositories.noteUse(upstream.key, digest);
    daemon.metrics.cache("blob", "hit");
    return { digest, size, path, read: (start, end, signal) => store.content.read(digest, { start, end, signal }) };
  }

  async *#read(arriving: Arriving, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { upstream, blob, how, own } = arriving;
    const { daemon, flights } = this.#options;
    if (how === "apart") return yield* this.#readApart(arriving, range, signal);
    const { flight, joined } = flights.join(blob, upstream, { own, isShared: how !== "alone" });
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
      yield* this.#readApart(arriving, range, signal);
    }
  }

  /** Straight from upstream. What has come whole that way was seen to be there. */
  async *#readApart({ upstream, blob }: Arriving, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { store, daemon, onEvent } = this.#options;
    daemon.metrics.cache("blob", "miss");
    yield* readDirectly(blob, new Origins(upstream), range, { signal, onEvent });
    if (range.start === 0 && range.end === blob.size) await store.repositories.addBlob(upstream.key, blob.digest);
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
