/**
 * The chunks of an image that the imported disk was made from: those that are in the disk unchanged need no blobs of its own. The registry has them already, whoever
 * encoded them.
 */
import type { DiskChunk } from "../../codec/tart/disk-image.ts";
import { decodeAppleLz4 } from "../../codec/apple-lz4/decoder.ts";
import { DISK_INDEX_TYPE, readIndexManifest } from "../../codec/disk-index/index-manifest.ts";
import type { BlobFacts } from "../../codec/tart/write-tart.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { Digester, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest } from "../../oci/manifest.ts";
import type { Store } from "../../store/store.ts";
import type { TransferContext } from "../context.ts";
import { isVerified } from "../given-up.ts";
import { listedReferrers } from "../transports/store-referrers.ts";
import type { KnownChunk } from "./import-chunks.ts";
import { openDiskImage, type OpenDiskImage } from "./open-disk-image.ts";

/** Nothing of the image is collected while it is open. */
export class ImportBase implements AsyncDisposable {
  readonly #store: Store;
  readonly #signal: AbortSignal;
  readonly #image: OpenDiskImage;
  /** By what they hold. */
  readonly #chunks: ReadonlyMap<Digest, DiskChunk>;
  readonly #indexes: ReadonlyMap<Digest, BlobFacts>;

  private constructor(
    { store, signal }: TransferContext,
    image: OpenDiskImage,
    indexes: ReadonlyMap<Digest, BlobFacts>,
  ) {
    this.#store = store;
    this.#signal = signal;
    this.#image = image;
    this.#indexes = indexes;
    const chunks = image.disks.flatMap(({ disk }) => (disk.kind === "chunks" ? disk.chunks : []));
    this.#chunks = new Map(
      chunks.flatMap((chunk) =>
        chunk.digest === undefined || chunk.coding !== "apple-lz4" ? [] : [[chunk.digest, chunk]],
      ),
    );
  }

  /** @throws VarveError as `openDiskImage` */
  static async open(context: TransferContext, name: string): Promise<ImportBase> {
    const image = await openDiskImage(context, name);
    try {
      return new ImportBase(context, image, await indexesOf(context.store, image));
    } catch (error) {
      await image[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The blob of this content, if it can be had, and was found to make it: here, or by the pull that gave it up. */
  async find(content: BlobFacts): Promise<KnownChunk | undefined> {
    const chunk = this.#chunks.get(content.digest);
    if (chunk?.size !== content.size) return undefined;
    const { digest, size } = chunk.blob;
    const { content: blobs, layers } = this.#store;
    const known = await layers.get(digest);
    const isFound = known?.discardedAt !== undefined && known.diffId === content.digest && isVerified(known);
    // What the image says of its blobs would else be what the new one says.
    if (!isFound && !(await this.#holds(digest, content))) return undefined;
    const listed = this.#indexes.get(digest);
    const hasIndex = listed !== undefined && (await blobs.stat(listed.digest))?.size === listed.size;
    return { digest, size, content, ...(hasIndex && { index: { digest: listed.digest, size: listed.size } }) };
  }

  /** Whether the blob is here, and makes the content. */
  async #holds(blob: Digest, { digest, size }: BlobFacts): Promise<boolean> {
    const { content } = this.#store;
    if ((await content.stat(blob)) === undefined) return false;
    const found = new Digester();
    try {
      for await (const bytes of decodeAppleLz4(content.read(blob, { signal: this.#signal }), { size }))
        found.update(bytes);
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!isVarveError(error)) throw error;
      return false;
    }
    return found.size === size && found.digest() === digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#image[Symbol.asyncDispose]();
  }
}

/** Of the image's chunks, by their blobs' digests; none where the store has no index of it, or one that is not in order. */
async function indexesOf(store: Store, { record, manifest }: OpenDiskImage): Promise<ReadonlyMap<Digest, BlobFacts>> {
  const none: ReadonlyMap<Digest, BlobFacts> = new Map();
  const listed = await listedReferrers(store, record.name, manifest.digest);
  const found = listed.find(({ artifactType }) => artifactType === DISK_INDEX_TYPE);
  if (found === undefined) return none;
  try {
    const document = parseManifest(await store.content.readBytes(found.digest, MAX_DOCUMENT_BYTES));
    return document.kind === "manifest" ? readIndexManifest(document, manifest.digest) : none;
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return none;
  }
}
