/** A repository as the place that images are pushed to: {@link BlobSink} over the protocol's parts. */
import type { Descriptor } from "../../oci/descriptor.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { parseManifest, type Document } from "../../oci/manifest.ts";
import { formatReference, withDigest, withTag, type Reference } from "../../oci/reference.ts";
import { acrossEndpoints, type Caller } from "../attempts.ts";
import type { Endpoint } from "../endpoint.ts";
import { resolveManifest, type Resolved } from "../manifests.ts";
import type { Settings } from "../options.ts";
import { listReferrers } from "../referrers.ts";
import type { RateLimiter } from "../rate-limiter.ts";
import type { Session } from "../session.ts";
import type { BlobSink, OpenBlob, PutBlobOptions, PutManifestResult } from "./blob-sink.ts";
import { BlobUpload } from "./blob-upload.ts";
import { changeIndex, type IndexChange } from "./change-index.ts";
import { listUnderTag } from "./fallback-referrers.ts";
import { hasBlob } from "./has-blob.ts";
import { inTurn } from "./in-turn.ts";
import { mountBlob } from "./mount-blob.ts";
import { putDocument } from "./put-document.ts";
import type { Upload, UploadContext } from "./upload.ts";

/** Uploads that were begun in place of a mount and wait for their bytes; of more, the oldest are let go. */
const MOST_BEGUN = 64;
/** Blobs that are known not to be there. */
const MOST_ABSENT = 10_000;

export interface SinkContext {
  readonly session: Session;
  readonly settings: Settings;
  readonly limiter: RateLimiter | undefined;
  readonly reference: Reference;
  readonly endpoint: Endpoint;
  /** Where a repository of this registry is, by its name. */
  readonly endpointOf: (name: string) => Promise<Endpoint>;
  /** Lists of referrers under tags are changed one after the other, whichever sink of a client does it. */
  readonly listing: Map<string, Promise<unknown>>;
}

export class RepositorySink implements BlobSink {
  readonly #context: SinkContext;
  readonly #begun = new Map<Digest, Upload>();
  readonly #absent = new Set<Digest>();
  /** What the registry was found to take at once, so that it is not asked to refuse each blob. */
  #mostAtOnce = Infinity;

  constructor(context: SinkContext) {
    this.#context = context;
  }

  async has(blob: Descriptor, caller: Caller = {}): Promise<boolean> {
    const isThere = await this.#across(caller, () => hasBlob(this.#uploadContext(blob), pick(caller)));
    if (isThere) this.#absent.delete(blob.digest);
    else if (this.#absent.size < MOST_ABSENT) this.#absent.add(blob.digest);
    return isThere;
  }

  async mount(blob: Descriptor, from: string | undefined, caller: Caller = {}): Promise<boolean> {
    const { endpoint, endpointOf } = this.#context;
    const other = from === undefined ? undefined : await endpointOf(from);
    if (other !== undefined && (other.host !== endpoint.host || other.prefix !== endpoint.prefix)) return false;
    const context = this.#uploadContext(blob);
    const mounted = await this.#across(caller, () => mountBlob(context, other?.repository, pick(caller)));
    if (mounted === true) return true;
    if (mounted !== undefined) this.#keep(blob.digest, mounted);
    return false;
  }

  async putBlob(blob: Descriptor, open: OpenBlob, options: PutBlobOptions = {}): Promise<"sent" | "present"> {
    const { digest } = blob;
    const { chunkSize } = options;
    if (chunkSize !== undefined && !(Number.isSafeInteger(chunkSize) && chunkSize > 0)) {
      throw new VarveError("USAGE", `a chunk cannot have ${chunkSize} bytes`);
    }
    const isKnownAbsent = this.#absent.has(digest) || this.#begun.has(digest);
    if (!isKnownAbsent && (await this.has(blob, options))) return "present";
    const started = this.#begun.get(digest);
    this.#begun.delete(digest);
    this.#absent.delete(digest);
    const { settings, limiter } = this.#context;
    const atOnce = Math.min(chunkSize ?? Infinity, this.#mostAtOnce);
    const context = this.#uploadContext(blob);
    const upload = new BlobUpload(context, open, { ...options, chunkSize: atOnce, settings, limiter, started });
    await upload.run();
    if (upload.chunkSize < atOnce) this.#mostAtOnce = upload.chunkSize;
    return "sent";
  }

  async resolve(tagOrDigest: string, caller: Caller = {}): Promise<Resolved | undefined> {
    const { session, endpoint } = this.#context;
    const digest = isDigest(tagOrDigest) ? tagOrDigest : undefined;
    const ask = { target: tagOrDigest, digest, push: true, subject: this.#subject(tagOrDigest) };
    try {
      return await this.#across(caller, () => resolveManifest(session, endpoint, ask, pick(caller)));
    } catch (error) {
      if (isVarveError(error, "MANIFEST_UNKNOWN")) return undefined;
      throw error;
    }
  }

  async referrers(digest: Digest, caller: Caller = {}): Promise<readonly Descriptor[]> {
    const { session, endpoint } = this.#context;
    const ask = { digest, push: true, subject: `referrers of ${digest}` };
    try {
      return await this.#across(caller, () => listReferrers(session, endpoint, ask, pick(caller)));
    } catch (error) {
      if (isVarveError(error, "DENIED")) return [];
      throw error;
    }
  }

  async putManifest(
    document: Document,
    tagOrDigest: string = document.digest,
    caller: Caller = {},
  ): Promise<PutManifestResult> {
    const { session, endpoint } = this.#context;
    const { bytes, digest, mediaType } = document;
    const parsed = parseManifest(bytes, { contentType: mediaType, expected: { digest } });
    const ask = { document, tagOrDigest, subject: this.#subject(tagOrDigest) };
    const { location, ociSubject } = await this.#across(caller, () =>
      putDocument(session, endpoint, ask, pick(caller)),
    );
    const subject = parsed.subject?.digest;
    const result = { digest, ...(location !== undefined && { location }), ...(subject !== undefined && { subject }) };
    if (subject === undefined || ociSubject === subject) return result;
    const place = `${endpoint.host}${endpoint.prefix}/${endpoint.repository}@${subject}`;
    const list = () => listUnderTag(this.#context, subject, parsed, pick(caller));
    return { ...result, fallbackTag: await inTurn(this.#context.listing, place, list) };
  }

  async changeIndex(change: IndexChange, caller: Caller = {}): Promise<void> {
    const { endpoint, listing } = this.#context;
    const place = `${endpoint.host}${endpoint.prefix}/${endpoint.repository}:${change.tag}`;
    await inTurn(listing, place, () => changeIndex(this.#context, change, pick(caller)));
  }

  #keep(digest: Digest, upload: Upload): void {
    this.#begun.set(digest, upload);
    if (this.#begun.size <= MOST_BEGUN) return;
    const [oldest] = this.#begun;
    if (oldest === undefined) return;
    this.#begun.delete(oldest[0]);
    void oldest[1].cancel();
  }

  #across<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
    const { endpoint, settings } = this.#context;
    return acrossEndpoints([endpoint], settings, pick(caller), work);
  }

  #uploadContext(blob: Descriptor): UploadContext {
    const { session, endpoint, settings } = this.#context;
    return { session, endpoint, blob, subject: `blob ${blob.digest}`, headersMs: settings.timeouts.headersMs };
  }

  #subject(tagOrDigest: string): string {
    const { host, name } = this.#context.reference;
    const named = isDigest(tagOrDigest)
      ? withDigest({ host, name }, tagOrDigest)
      : withTag({ host, name }, tagOrDigest);
    return `manifest ${formatReference(named)}`;
  }
}

function pick({ signal, onEvent }: Caller): Caller {
  return { signal, onEvent };
}
