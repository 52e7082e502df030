/** Images into a tar of an image layout. As with skopeo, a new archive takes the place of an old one. */
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestAlgorithm, digestHex, type Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { referrerEntry } from "../../oci/referrer-entry.ts";
import { ArchiveWriter, fileHeader } from "./archive-writer.ts";
import { addImage, emptyIndex, OCI_LAYOUT } from "./layout-index.ts";
import type { ImageSink, PutDocumentOptions } from "./types.ts";
import { once, verified } from "./verified.ts";

export class OciArchiveSink implements ImageSink {
  readonly #writer: ArchiveWriter;
  readonly #tag: string | undefined;
  readonly #written = new Set<Digest>();
  readonly #folders = new Set<string>();
  readonly #index = emptyIndex();

  private constructor(writer: ArchiveWriter, tag: string | undefined) {
    this.#writer = writer;
    this.#tag = tag;
  }

  /** @throws VarveError `FILE_NOT_FOUND` (no such directory), `PERMISSION`, `IO` */
  static async open(path: string, options: { readonly tag?: string } = {}): Promise<OciArchiveSink> {
    const writer = await ArchiveWriter.open(path);
    await writer.addBytes("oci-layout", Buffer.from(OCI_LAYOUT));
    await writer.addDirectory("blobs/");
    return new OciArchiveSink(writer, options.tag);
  }

  async has(descriptor: Descriptor): Promise<boolean> {
    return this.#written.has(descriptor.digest);
  }

  async putBlob(descriptor: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const { digest } = descriptor;
    const folder = `blobs/${digestAlgorithm(digest)}/`;
    if (!this.#folders.has(folder)) {
      this.#folders.add(folder);
      await this.#writer.addDirectory(folder);
    }
    const header = fileHeader(folder + digestHex(digest), descriptor.size);
    // Looked at when its turn is over: two may have put the same blob at once.
    await this.#writer.addStream(verified(bytes, descriptor), header.length, () => {
      if (this.#written.has(digest)) return undefined;
      this.#written.add(digest);
      return header;
    });
  }

  async putDocument(document: Manifest | Index, options: PutDocumentOptions): Promise<void> {
    const { bytes, digest, mediaType } = document;
    if (!this.#written.has(digest)) await this.putBlob({ mediaType, digest, size: bytes.length }, once(bytes));
    if (options.referrer === true) addImage(this.#index, document, undefined, referrerEntry(document).artifactType);
    else if (options.root) addImage(this.#index, document, options.name ?? this.#tag);
  }

  async commit(): Promise<void> {
    await this.#writer.addBytes("index.json", Buffer.from(JSON.stringify(this.#index)));
    await this.#writer.commit();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#writer[Symbol.asyncDispose]();
  }
}
