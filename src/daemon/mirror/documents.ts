/**
 * Manifests and indexes through a mirror. A tag is asked for at its registry each time by HEAD, which Docker Hub does not count; bytes are
 * asked for once. What has a digest cannot change, so it comes from here when this repository was seen to have it: whoever may read a
 * repository must not get what only another one has.
 */
import type { Digest } from "../../oci/digest.ts";
import { parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import type { TransportEvent } from "../../registry/blob-source.ts";
import type { ManifestRecord } from "../../store/repositories.ts";
import type { Store } from "../../store/store.ts";
import { heldBytes } from "../../transfer/held-bytes.ts";
import { secondTry } from "../../transfer/second-try.ts";
import type { Daemon } from "../daemon.ts";
import type { Asked, ServedManifest } from "../distribution/types.ts";
import { Joined } from "./joined.ts";
import type { KnownBlobs } from "./known-blobs.ts";
import { noted } from "./noting.ts";
import { withPatience } from "./patience.ts";
import { believes } from "./provenance.ts";
import { isAbsent, isUnreachable } from "./refusals.ts";
import { withTarget } from "./upstream-name.ts";
import type { Upstream } from "./upstreams.ts";

/** Where something older can be served, and where not. */
const WITH_STALE = { retries: 0, ms: 10_000 };
const WITHOUT = { retries: 2, ms: 30_000 };

/** So old may be what is written of when a tag was last found up to date. */
const NOTE_MS = 60_000;

export type ResolvedManifest = Omit<ServedManifest, "bytes"> & { readonly size: number };

export interface DocumentsOptions {
  readonly daemon: Pick<Daemon, "config" | "metrics" | "log" | "signal">;
  readonly store: Store;
  readonly known: KnownBlobs;
  readonly onEvent: (event: TransportEvent) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class MirrorDocuments {
  readonly #options: DocumentsOptions;
  readonly #resolving = new Joined<ResolvedManifest | undefined>();
  readonly #fetching = new Joined<ServedManifest>();

  constructor(options: DocumentsOptions) {
    this.#options = options;
  }

  /** What a tag or digest stands for. @throws VarveError as the registry has it; undefined when it has none */
  async resolve(upstream: Upstream, target: string, { signal }: Asked): Promise<ResolvedManifest | undefined> {
    const reference = withTarget(upstream.reference, target);
    if (reference === undefined) return undefined;
    const { repositories } = this.#options.store;
    if (reference.digest !== undefined) {
      const record = await repositories.manifest(upstream.key, reference.digest);
      if (record !== undefined) return this.#hit(upstream, record);
    }
    const key = `${upstream.key.name} ${target}`;
    const { value } = await this.#resolving.get(key, signal, () =>
      reference.digest === undefined ? this.#resolveTag(upstream, target) : this.#ask(upstream, target, WITHOUT),
    );
    return value;
  }

  /** The same with its bytes. */
  async get(upstream: Upstream, target: string, asked: Asked): Promise<ServedManifest | undefined> {
    const reference = withTarget(upstream.reference, target);
    if (reference?.digest !== undefined)
      return await this.#bytes(upstream, reference.digest, asked, false).catch(absent);
    const resolved = await this.resolve(upstream, target, asked);
    if (resolved === undefined) return undefined;
    const served = await this.#bytes(upstream, resolved.digest, asked, true).catch(absent);
    if (served === undefined) return undefined;
    if (resolved.warning !== undefined) return { ...served, warning: resolved.warning };
    await this.#noteTag(upstream, target, resolved.digest, Infinity);
    return served;
  }

  async #resolveTag(upstream: Upstream, tag: string): Promise<ResolvedManifest | undefined> {
    const { store, daemon, now } = this.#options;
    const { tagSeconds, serveStale } = daemon.config().mirror;
    const known = await store.repositories.tag(upstream.key, tag);
    const record = known && (await store.repositories.manifest(upstream.key, known.digest));
    if (known !== undefined && record !== undefined && now() - known.updatedAt.getTime() < tagSeconds * 1000) {
      return this.#hit(upstream, record);
    }
    try {
      const found = await this.#ask(upstream, tag, serveStale && record !== undefined ? WITH_STALE : WITHOUT);
      const { key } = upstream;
      if (found === undefined) await noted(daemon.log, { tag }, () => store.repositories.deleteTag(key, tag));
      else if (found.digest === record?.digest)
        await this.#noteTag(upstream, tag, found.digest, tagSeconds > 0 ? 0 : NOTE_MS);
      return found;
    } catch (error) {
      if (!serveStale || known === undefined || record === undefined || !isUnreachable(error)) throw error;
      daemon.log.warn(
        { code: error.code, repository: upstream.key.name, tag },
        "upstream cannot be reached: serving what is old",
      );
      daemon.metrics.cache("manifest", "stale");
      const { host, name } = upstream.reference;
      const since = known.updatedAt.toISOString();
      return { ...summary(record), warning: `${host} cannot be reached; ${name}:${tag} is what it was at ${since}` };
    }
  }

  async #ask(upstream: Upstream, target: string, patience: typeof WITHOUT): Promise<ResolvedManifest | undefined> {
    const { daemon, onEvent } = this.#options;
    const reference = withTarget(upstream.reference, target)!;
    const what = `manifest ${upstream.key.name} ${target}`;
    const asking = withPatience(what, { ...patience, signal: daemon.signal, onEvent }, (caller) =>
      upstream.client.resolve(reference, caller),
    );
    return await asking.catch(absent);
  }

  /** @param proved whether the registry has just said that this repository has it */
  async #bytes(upstream: Upstream, digest: Digest, { signal }: Asked, proved: boolean): Promise<ServedManifest> {
    const { store, daemon } = this.#options;
    const record = await store.repositories.manifest(upstream.key, digest);
    const bytes = record && (await heldBytes(store, digest));
    if (record !== undefined && bytes !== undefined) {
      this.#hit(upstream, record);
      this.#options.known.learn(upstream.key, parseManifest(bytes, { expected: { digest } }));
      return { digest, mediaType: record.mediaType, bytes };
    }
    const key = `${upstream.key.name} ${digest}`;
    const { value, joined } = await this.#fetching.get(key, signal, () => this.#fetch(upstream, digest, proved));
    daemon.metrics.cache("manifest", joined ? "joined" : "miss");
    return value;
  }

  async #fetch(upstream: Upstream, digest: Digest, proved: boolean): Promise<ServedManifest> {
    const { store, known } = this.#options;
    const document = (await this.#held(upstream, digest, proved)) ?? (await this.#download(upstream, digest));
    const { mediaType, bytes } = document;
    const { log } = this.#options.daemon;
    await noted(log, { digest }, () => store.repositories.putManifest(upstream.key, { digest, mediaType, bytes }));
    known.learn(upstream.key, document);
    return { digest, mediaType, bytes };
  }

  /** What a pull or another repository has brought here, once a registry that is believed has said that this repository has it too. */
  async #held(upstream: Upstream, digest: Digest, proved: boolean): Promise<Manifest | Index | undefined> {
    const { store } = this.#options;
    const bytes = (await believes(store, upstream, digest)) ? await heldBytes(store, digest) : undefined;
    if (bytes === undefined) return undefined;
    const found = proved ? { digest } : await this.#ask(upstream, digest, WITHOUT);
    return found?.digest === digest ? parseManifest(bytes, { expected: { digest } }) : undefined;
  }

  async #download(upstream: Upstream, digest: Digest): Promise<Manifest | Index> {
    const { daemon, onEvent } = this.#options;
    const reference = { ...upstream.reference, digest };
    const what = `manifest ${upstream.key.name} ${digest}`;
    const fetch = (): Promise<Manifest | Index> =>
      withPatience(what, { ...WITHOUT, signal: daemon.signal, onEvent }, (caller) =>
        upstream.client.fetchManifest(reference, caller),
      );
    return await secondTry(fetch, ({ code, message }) => daemon.log.warn({ code }, message));
  }

  /** Writes it down when that says something new, or what is written is so old: a write for each request would hold up all others. */
  async #noteTag(upstream: Upstream, tag: string, digest: Digest, ageMs: number): Promise<void> {
    const { daemon, store, now } = this.#options;
    const { repositories } = store;
    const known = await repositories.tag(upstream.key, tag);
    if (known?.digest === digest && now() - known.updatedAt.getTime() < ageMs) return;
    if ((await repositories.manifest(upstream.key, digest)) === undefined) return;
    await noted(daemon.log, { tag }, () => repositories.putTag(upstream.key, tag, digest));
  }

  #hit(upstream: Upstream, record: ManifestRecord): ResolvedManifest {
    this.#options.store.repositories.noteUse(upstream.key, record.digest);
    this.#options.daemon.metrics.cache("manifest", "hit");
    return summary(record);
  }
}

function summary({ digest, mediaType, size }: ManifestRecord): ResolvedManifest {
  return { digest, mediaType, size };
}

/** That there is none is an answer. */
function absent(error: unknown): undefined {
  if (!isAbsent(error)) throw error;
}
