/**
 * An OCI distribution client: what a tag means, manifests, blobs, tags, referrers, whether an account is good, and what is pushed.
 * Mirrors, credentials, retries and redirects happen inside.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import type { Reference } from "../oci/reference.ts";
import { acrossEndpoints, type Caller } from "./attempts.ts";
import { Authorizer, type Credentials } from "./auth/authorizer.ts";
import type { TokenAsk, TokenService } from "./auth/token-service.ts";
import { BlobOrigins } from "./blob-origins.ts";
import type { ReaderContext } from "./blob-reader.ts";
import type { BlobSource } from "./blob-source.ts";
import type { CredentialLookup } from "./credentials/lookup.ts";
import { networkHost } from "./endpoint.ts";
import { RatesBook, type HostRates } from "./host-rates.ts";
import {
  fetchManifest,
  manifestAsk,
  readDocument,
  resolveManifest,
  type FetchOptions,
  type Resolved,
} from "./manifests.ts";
import { MirrorChain } from "./mirrors/chain.ts";
import { resolveSettings, type RegistryOptions, type Settings } from "./options.ts";
import { RangeSupport } from "./range-support.ts";
import { RateLimiter } from "./rate-limiter.ts";
import { Session } from "./session.ts";
import { SignedUrls } from "./signed-urls.ts";
import { verifiedBytes } from "./verified-bytes.ts";
import { discard } from "./transport/body.ts";
import { contentLength, Transport } from "./transport/transport.ts";
import type { BlobSink } from "./upload/blob-sink.ts";
import { lazySink } from "./upload/lazy-sink.ts";

export interface Login {
  /** False when the registry did not ask for an account, so that nothing is known about this one. */
  readonly checked: boolean;
}

export class RegistryClient implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #chain: MirrorChain;
  readonly #session: Session;
  readonly #ranges = new RangeSupport();
  readonly #rates = new RatesBook();
  readonly #urls = new SignedUrls();
  readonly #origins = new BlobOrigins();
  readonly #limiter: RateLimiter | undefined;
  /** Lists of referrers that are being written. */
  readonly #listing = new Map<string, Promise<unknown>>();
  #credentials: Promise<CredentialLookup> | undefined;
  #tokens: Promise<TokenService> | undefined;

  constructor(options: RegistryOptions = {}) {
    const { clock, limitRate, accounts } = (this.#settings = resolveSettings(options));
    this.#transport = new Transport(this.#settings);
    this.#chain = new MirrorChain(this.#settings);
    this.#session = this.#newSession(accounts ?? { find: async (...asked) => (await this.#lookUp()).find(...asked) });
    this.#limiter = limitRate === undefined ? undefined : new RateLimiter(limitRate, clock);
  }

  /** What the reference's tag or digest means now. */
  async resolve(reference: Reference, caller: Caller = {}): Promise<Resolved> {
    const ask = manifestAsk(reference, {});
    const endpoints = await this.#chain.endpoints(reference, ask.digest === undefined ? "tag" : "digest");
    return await acrossEndpoints(endpoints, this.#settings, caller, (endpoint) =>
      resolveManifest(this.#session, endpoint, ask, pick(caller)),
    );
  }

  /**
   * The manifest or index under the reference, or under `digest` in its repository, with its bytes as received.
   * @throws VarveError `MANIFEST_UNKNOWN`, `MANIFEST_INVALID`, `DIGEST_MISMATCH`, `UNAUTHORIZED`, `DENIED`, `REGISTRY_*`
   */
  async fetchManifest(reference: Reference, options: FetchOptions = {}): Promise<Manifest | Index> {
    const ask = manifestAsk(reference, options);
    const endpoints = await this.#chain.endpoints(reference, ask.digest === undefined ? "tag" : "digest");
    return await acrossEndpoints(endpoints, this.#settings, options, (endpoint) =>
      fetchManifest(this.#session, endpoint, ask, pick(options)),
    );
  }

  /** The blobs of the reference's repository, to be read as streams. What they give must be verified by its digest. */
  blobs(reference: Reference): BlobSource {
    const chain = this.#chain;
    const origins = this.#origins;
    const context = (blob: Descriptor): ReaderContext => this.#readerContext(reference, blob);
    return {
      async *readBlob(blob, { range, signal, onEvent } = {}) {
        const { readBlobFrom } = await import("./blob-reader.ts");
        const endpoints = origins.order(await chain.endpoints(reference, "blob"), blob.digest);
        yield* readBlobFrom(endpoints, blob, range, context(blob), { signal, onEvent });
      },
    };
  }

  /**
   * The bytes that {@link blobs} gave for this digest were not its: who sent them is asked last from now on, and redirects to
   * where they came from are forgotten.
   */
  distrust(digest: Digest): void {
    this.#origins.distrust(digest);
    this.#urls.forget(digest);
  }

  /**
   * A small blob, such as a config, whole and verified.
   * @param options.limit Bytes. Default: 4 MiB.
   * @throws VarveError `MANIFEST_TOO_LARGE`, `SIZE_MISMATCH`, `DIGEST_MISMATCH`, `BLOB_UNKNOWN`
   */
  async fetchBlobBytes(
    reference: Reference,
    blob: Descriptor,
    options: Caller & { limit?: number } = {},
  ): Promise<Uint8Array> {
    const { limit = 4 * 1024 * 1024 } = options;
    const subject = `blob ${blob.digest}`;
    if (blob.size > limit) {
      throw new VarveError("MANIFEST_TOO_LARGE", `${subject} has ${blob.size} bytes, and ${limit} are allowed`);
    }
    if (blob.data !== undefined) return verifiedBytes(Buffer.from(blob.data, "base64"), blob, "the descriptor's data");
    const endpoints = await this.#chain.endpoints(reference, "blob");
    return await acrossEndpoints(endpoints, this.#settings, options, async (endpoint) => {
      const ask = {
        method: "GET",
        path: `/blobs/${blob.digest}`,
        headers: { "accept-encoding": "identity" },
        subject,
        ...pick(options),
      } as const;
      const answer = await this.#session.send(endpoint, ask);
      if (answer.status !== 200) throw await this.#session.refusal(answer, ask, "BLOB_UNKNOWN");
      // The documents before it have opened the connection, so it tells better than the first blob how long a request takes.
      this.#rates.answered(reference.host, answer.latencyMs);
      return verifiedBytes(await readDocument(answer, subject, options, limit), blob, answer.url.host);
    });
  }

  /**
   * How many bytes a blob of the reference's repository has; undefined when it has none of that digest.
   * @throws VarveError `UNAUTHORIZED`, `DENIED`, `REGISTRY_*`
   */
  async statBlob(reference: Reference, digest: Digest, caller: Caller = {}): Promise<number | undefined> {
    const endpoints = await this.#chain.endpoints(reference, "blob");
    const { statBlob, absent } = await import("./stat-blob.ts");
    return await acrossEndpoints(endpoints, this.#settings, caller, (endpoint) =>
      statBlob(this.#session, endpoint, digest, pick(caller)),
    ).catch(absent);
  }

  /** The reference's repository, to be written to. Each method may throw `REGISTRY_BLOCKED`, `CONFIGURATION_INVALID`. */
  uploads(reference: Reference): BlobSink {
    return lazySink(() => this.#sink(reference));
  }

  /** All tags of the reference's repository, in the registry's order. */
  async listTags(reference: Reference, caller: Caller = {}): Promise<string[]> {
    const endpoints = await this.#chain.endpoints(reference, "tag");
    const { listTags } = await import("./tags.ts");
    const subject = `tags of ${reference.host}/${reference.name}`;
    // A mirror may list only what it has seen so far, so the registry itself is asked first.
    return await acrossEndpoints(endpoints.toReversed(), this.#settings, caller, (endpoint) =>
      listTags(this.#session, endpoint, subject, pick(caller)),
    );
  }

  /** What refers to a manifest of the reference's repository; nothing when the registry knows no referrers. */
  async referrers(
    reference: Reference,
    digest: Digest,
    options: Caller & { artifactType?: string } = {},
  ): Promise<readonly Descriptor[]> {
    const endpoints = await this.#chain.endpoints(reference, "referrers");
    const { listReferrers } = await import("./referrers.ts");
    const ask = { digest, artifactType: options.artifactType, subject: `referrers of ${digest}` };
    return await acrossEndpoints(endpoints, this.#settings, options, (endpoint) =>
      listReferrers(this.#session, endpoint, ask, pick(options)),
    );
  }

  /** Whether a registry answers, logged in where it demands that. */
  async ping(host: string, caller: Caller = {}): Promise<void> {
    await this.#ping(this.#session, host, caller);
  }

  /**
   * Whether a registry accepts an account. Nothing is stored.
   * @throws VarveError `UNAUTHORIZED` when it does not
   */
  async checkLogin(host: string, account: { username: string; password: string }, caller: Caller = {}): Promise<Login> {
    let checked = false;
    const session = this.#newSession({
      find: async () => {
        checked = true;
        return { kind: "password", ...account };
      },
    });
    await this.#ping(session, host, caller);
    return { checked };
  }

  /**
   * Whether ranges were seen to work, by a registry's name or by a host that was connected to. Undefined until one was
   * asked for.
   */
  supportsRanges(registry: string | Reference): boolean | undefined {
    const host = typeof registry === "string" ? registry : registry.host;
    return this.#ranges.of(host) ?? this.#ranges.of(networkHost(host));
  }

  /** How fast the reference's registry, or whoever stood in for it, has answered and sent blobs to this client so far. */
  rates(reference: Reference): HostRates {
    return this.#rates.of(reference.host);
  }

  /** All that this client has got from the reference's registry, and the milliseconds in which something was under way from it. */
  received(reference: Reference): { readonly bytes: number; readonly ms: number } {
    return this.#rates.total(reference.host);
  }

  /** Says whose the credentials of the options are: this registry's, whichever is asked first. No other is ever shown them. */
  reserveCredentials(host: string): void {
    this.#chain.reserveCredentials(host);
  }

  /** Ends all connections; what is still running fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  async #sink(reference: Reference): Promise<BlobSink> {
    const { RepositorySink } = await import("./upload/repository-sink.ts");
    const endpointOf = (name: string) => this.#chain.pushEndpoint({ host: reference.host, name });
    return new RepositorySink({
      session: this.#session,
      settings: this.#settings,
      limiter: this.#limiter,
      reference,
      endpoint: await endpointOf(reference.name),
      endpointOf,
      listing: this.#listing,
    });
  }

  #newSession(credentials: Credentials): Session {
    const { clock } = this.#settings;
    const tokens = { fetch: async (ask: TokenAsk) => (await this.#tokenService()).fetch(ask) };
    const authorizer = new Authorizer(tokens, credentials, clock);
    return new Session(this.#transport, authorizer, clock);
  }

  /** Loaded when a registry asks who we are; many never do. */
  #lookUp(): Promise<CredentialLookup> {
    const helpers = async (): Promise<readonly string[]> => (await this.#chain.registriesConf()).credentialHelpers;
    this.#credentials ??= import("./credentials/lookup.ts").then(
      ({ CredentialLookup }) => new CredentialLookup(this.#settings, helpers),
    );
    return this.#credentials;
  }

  #tokenService(): Promise<TokenService> {
    this.#tokens ??= import("./auth/token-service.ts").then(
      ({ TokenService }) => new TokenService(this.#transport, this.#settings.clock),
    );
    return this.#tokens;
  }

  async #ping(session: Session, host: string, caller: Caller): Promise<void> {
    const endpoint = await this.#chain.direct(host);
    const ask = { method: "GET", path: "/", repository: false, subject: `registry ${host}`, ...pick(caller) } as const;
    await acrossEndpoints([endpoint], this.#settings, caller, async () => {
      const answer = await session.send(endpoint, ask);
      if (answer.status !== 200) throw await session.refusal(answer, ask, "REGISTRY_PROTOCOL");
      await discard(answer.body, contentLength(answer.headers));
    });
  }

  #readerContext(reference: Reference, blob: Descriptor): ReaderContext {
    return {
      session: this.#session,
      ranges: this.#ranges,
      rates: this.#rates,
      urls: this.#urls,
      origins: this.#origins,
      registry: reference.host,
      subject: `blob ${blob.digest}`,
      settings: this.#settings,
      limiter: this.#limiter,
    };
  }
}

function pick({ signal, onEvent }: Caller): Caller {
  return { signal, onEvent };
}
