/**
 * Where images come from and go to, so that copying is one algorithm for registries, stores, layouts and archives.
 *
 * Life of a copy: `source.root()` says what the image is; documents and blobs are asked for by descriptor, in any order and
 * several at once; the sink takes blobs first and documents after what they name, the root last; nothing of it can be found by
 * name until `commit`. Disposing of a sink that was not committed takes back what a partial copy left, except whole blobs.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
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
}

export interface PutDocumentOptions {
  /** Whether this is the image itself, not a part of an index. */
  readonly root: boolean;
  /** Default: the name that the sink was opened with. */
  readonly name?: string;
}

export interface ImageSink extends AsyncDisposable {
  /** Whether the blob is there already, so that it need not be read from its source. */
  has(descriptor: Descriptor): Promise<boolean>;
  /**
   * Takes a blob and checks it against the descriptor. May be called for several blobs at once; a sink that writes one
   * stream lets them wait, and a source's iterable that waits was not begun.
   */
  putBlob(descriptor: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  putDocument(document: Manifest | Index, options: PutDocumentOptions): Promise<void>;
  /** Makes all of it durable and the root documents findable, once. */
  commit(): Promise<void>;
}
