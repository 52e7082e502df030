/**
 * Where images come from and go to, so that copying is one algorithm for registries, stores, layouts and archives.
 *
 * Life of a copy: `source.root()` says what the image is; documents and blobs are asked for by descriptor, in any order and
 * several at once; the sink takes blobs first and documents after what they name, the root last; nothing of it can be found by
 * name until `commit`. Disposing of a sink that was not committed takes back what a partial copy left, except whole blobs.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";

export interface ImageSource extends AsyncDisposable {
  /** The manifest or index that the name stands for; the same at every call. */
  root(): Promise<Manifest | Index>;
  /** A manifest or index that another one names. Checked against the descriptor. */
  document(descriptor: Descriptor): Promise<Manifest | Index>;
  /**
   * The blob's bytes, checked as they pass: iteration ends in an error when they are not what the descriptor says. Chunks
   * belong to the consumer. Nothing is opened before the first chunk is asked for.
   */
  blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * The blob's bytes from `start` on, not checked: for who has hashed what comes before. Default: `blob` is read from its beginning.
   */
  blobFrom?(descriptor: Descriptor, start: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Manifests that have this one as their subject (image-spec "manifest.md"). Default: a place that knows none. */
  referrers?(subject: Digest): Promise<readonly Descriptor[]>;
}

/** A blob on its way into a sink. */
export interface BlobBytes extends AsyncIterable<Uint8Array> {
  /** The same once more from a byte on, for a sink that has to send a part again. The iteration before has then ended. */
  from?(start: number): AsyncIterable<Uint8Array>;
}

export interface PutDocumentOptions {
  /** Whether this is the image itself, not a part of an index. */
  readonly root: boolean;
  /** Whether it is kept because of its subject, which it refers to, and not because another document names it. Default false. */
  readonly referrer?: boolean;
  /** Default: the name that the sink was opened with. */
  readonly name?: string;
}

export interface ImageSink extends AsyncDisposable {
  /**
   * Whether the name stands for this document already, so that there is nothing to do. Default: not known.
   *
   * @throws VarveError `REFERENCE_INVALID` when the name can never stand for it
   */
  standsFor?(root: Manifest | Index): Promise<boolean>;
  /** Whether a document is there, and with it all that it names. Default: not known before each part is looked for. */
  hasWhole?(descriptor: Descriptor): Promise<boolean>;
  /**
   * What is listed there as referring to a manifest: a referrer that is there and not listed is found by nobody. Default: all that is put as a
   * referrer is listed when the copy is committed.
   */
  listed?(subject: Digest): Promise<readonly Descriptor[]>;
  /** Whether the blob is there already, so that it need not be read from its source. */
  has(descriptor: Descriptor): Promise<boolean>;
  /** Takes a blob from elsewhere in the same place, without its bytes. @returns where it was, or undefined when it was nowhere */
  mount?(descriptor: Descriptor): Promise<string | undefined>;
  /**
   * Takes a blob and checks it against the descriptor. May be called for several blobs at once; a sink that writes one
   * stream lets them wait, and a source's iterable that waits was not begun.
   *
   * @param signal ends it. Default: that of the sink, where it has one
   */
  putBlob(descriptor: Descriptor, bytes: BlobBytes, signal?: AbortSignal): Promise<void>;
  putDocument(document: Manifest | Index, options: PutDocumentOptions): Promise<void>;
  /** Makes all of it durable and the root documents findable, once. */
  commit(): Promise<void>;
}
