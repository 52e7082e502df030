/**
 * A registry as one of the places that images go to (distribution-spec "Push"). A manifest that is there is taken to be whole, as
 * registries refuse those whose parts they miss; so what is there costs one question, however much it is.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { formatReference, type Reference } from "../../oci/reference.ts";
import type { TransportEvent } from "../../registry/blob-source.ts";
import type { BlobSink } from "../../registry/upload/blob-sink.ts";
import type { BlobBytes, ImageSink, PutDocumentOptions } from "./types.ts";

export interface RegistrySinkOptions {
  /** Of the reference's repository. */
  readonly uploads: BlobSink;
  readonly reference: Reference;
  readonly signal: AbortSignal;
  /** Told of requests, bytes and retries, and which blob they are for. */
  readonly onEvent?: (event: TransportEvent, digest?: Digest) => void;
  /** Bytes per request of an upload. Default: as many as the registry takes. */
  readonly chunkSize?: number;
  /** Repositories that may have a blob, the likeliest first; only those of the same registry are of use. Default: none is known. */
  readonly homesOf?: (digest: Digest) => Promise<readonly Reference[]>;
}

/** Of each blob; a registry that says no begins an upload each time. */
const MOST_MOUNTS = 2;
/** A repository that so often had not what it should is asked no more. */
const MOST_REFUSALS = 3;

export class RegistrySink implements ImageSink {
  readonly #options: RegistrySinkOptions;
  /** How often each repository did not mount. */
  readonly #refusals = new Map<string, number>();
  #root: Manifest | Index | undefined;

  constructor(options: RegistrySinkOptions) {
    this.#options = options;
  }

  async standsFor(root: Manifest | Index): Promise<boolean> {
    const { uploads, reference } = this.#options;
    if (reference.digest !== undefined && reference.digest !== root.digest) {
      throw new VarveError("REFERENCE_INVALID", `what is to be pushed is ${root.digest}, not ${reference.digest}`, {
        hint: "leave the digest out of the destination; the whole index of an image is pushed with --all",
      });
    }
    const found = await uploads.resolve(targetOf(reference), this.#caller());
    return found?.digest === root.digest;
  }

  async hasWhole({ digest }: Descriptor): Promise<boolean> {
    return (await this.#options.uploads.resolve(digest, this.#caller(digest))) !== undefined;
  }

  listed(subject: Digest): Promise<readonly Descriptor[]> {
    return this.#options.uploads.referrers(subject, this.#caller());
  }

  /** Layers that may not be distributed stay where their descriptors say that they are to be had. */
  async has(blob: Descriptor): Promise<boolean> {
    if (isForeign(blob)) return true;
    return this.#options.uploads.has(blob, this.#caller(blob.digest));
  }

  async mount(blob: Descriptor): Promise<string | undefined> {
    const { uploads, homesOf } = this.#options;
    if (homesOf === undefined) return undefined;
    const homes = (await homesOf(blob.digest)).filter((home) => this.#isPromising(home));
    for (const { name } of homes.slice(0, MOST_MOUNTS)) {
      if (await uploads.mount(blob, name, this.#caller(blob.digest))) return name;
      this.#refusals.set(name, (this.#refusals.get(name) ?? 0) + 1);
    }
    return undefined;
  }

  async putBlob(descriptor: Descriptor, bytes: BlobBytes, signal: AbortSignal = this.#options.signal): Promise<void> {
    const { uploads, chunkSize } = this.#options;
    const open = (start: number): AsyncIterable<Uint8Array> => {
      if (bytes.from !== undefined) return bytes.from(start);
      if (start === 0) return bytes;
      throw new VarveError("INTERNAL", `${descriptor.digest} can be read only once`);
    };
    await uploads.putBlob(descriptor, open, { ...this.#caller(descriptor.digest), signal, chunkSize });
  }

  async putDocument(document: Manifest | Index, { root }: PutDocumentOptions): Promise<void> {
    if (root) this.#root = document;
    else await this.#options.uploads.putManifest(document, document.digest, this.#caller(document.digest));
  }

  async commit(): Promise<void> {
    const { uploads, reference } = this.#options;
    if (this.#root === undefined) {
      throw new VarveError("INTERNAL", `a copy to ${formatReference(reference)} ended without its root document`);
    }
    await uploads.putManifest(this.#root, targetOf(reference), this.#caller(this.#root.digest));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #isPromising({ host, name }: Reference): boolean {
    const { reference } = this.#options;
    return host === reference.host && name !== reference.name && (this.#refusals.get(name) ?? 0) < MOST_REFUSALS;
  }

  #caller(digest?: Digest): { signal: AbortSignal; onEvent: (event: TransportEvent) => void } {
    const { signal, onEvent } = this.#options;
    return { signal, onEvent: (event) => onEvent?.(event, digest) };
  }
}

function isForeign({ mediaType, urls = [] }: Descriptor): boolean {
  return urls.length > 0 && /\.(nondistributable|foreign)\./.test(mediaType);
}

/** A tag beside a digest is put as well; the digest only says what is meant. */
function targetOf({ tag, digest }: Reference): string {
  return tag ?? digest ?? "latest";
}
