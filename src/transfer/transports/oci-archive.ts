/** Images out of a tar of an image layout, OCI image-spec "image-layout.md", as skopeo and docker save write it. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestAlgorithm, digestHex, type Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { ArchiveFile } from "./archive-file.ts";
import type { ArchiveMember } from "./archive-index.ts";
import { checkLayoutVersion, chooseImage, listEntries, MAX_INDEX_BYTES, type ImageChoice } from "./layout-index.ts";
import { LayoutReferrers } from "./layout-referrers.ts";
import { readDocument } from "./read-document.ts";
import type { ImageSource } from "./types.ts";
import { verified } from "./verified.ts";

export interface OpenArchiveOptions extends ImageChoice {
  readonly signal?: AbortSignal;
}

export class OciArchiveSource implements ImageSource {
  readonly #archive: ArchiveFile;
  readonly #index: Buffer;
  readonly #root: Descriptor;
  #referrers: LayoutReferrers | undefined;

  private constructor(archive: ArchiveFile, index: Buffer, root: Descriptor) {
    this.#archive = archive;
    this.#index = index;
    this.#root = root;
  }

  /**
   * Finds the members of the archive; a compressed one is first copied to a temporary file.
   *
   * @throws VarveError `FILE_NOT_FOUND`, `ARCHIVE_INVALID`, `MANIFEST_UNKNOWN`, or `REFERENCE_INVALID` when it has several
   * images and none was chosen
   */
  static async open(path: string, options: OpenArchiveOptions = {}): Promise<OciArchiveSource> {
    const archive = await ArchiveFile.open(path, options.signal);
    try {
      const index = await readIndex(archive);
      return new OciArchiveSource(archive, index, chooseImage(index, options, archive.path));
    } catch (error) {
      await archive[Symbol.asyncDispose]();
      throw error;
    }
  }

  root(): Promise<Manifest | Index> {
    return this.document(this.#root);
  }

  document(descriptor: Descriptor): Promise<Manifest | Index> {
    return readDocument(descriptor, (blob) => this.blob(blob));
  }

  async *blob(descriptor: Descriptor, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    yield* verified(this.#archive.read(this.#find(descriptor.digest), signal), descriptor, { signal });
  }

  blobFrom(descriptor: Descriptor, start: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#archive.readFrom(this.#find(descriptor.digest), start, signal);
  }

  referrers(subject: Digest): Promise<readonly Descriptor[]> {
    this.#referrers ??= new LayoutReferrers(listEntries(this.#index, this.#archive.path), (entry) =>
      this.document(entry),
    );
    return this.#referrers.of(subject);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#archive[Symbol.asyncDispose]();
  }

  #find(digest: Digest): ArchiveMember {
    const member = this.#archive.find(`blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`);
    if (member !== undefined) return member;
    throw new VarveError("BLOB_UNKNOWN", `${this.#archive.path} lacks blob ${digest}`, {
      hint: "the archive is not complete; make it again",
    });
  }
}

async function readIndex(archive: ArchiveFile): Promise<Buffer> {
  const version = await archive.readSmall("oci-layout", 4096);
  if (version !== undefined) checkLayoutVersion(version, archive.path);
  const index = await archive.readSmall("index.json", MAX_INDEX_BYTES);
  if (index !== undefined) return index;
  const isDocker = archive.find("manifest.json") !== undefined;
  throw new VarveError(
    "ARCHIVE_INVALID",
    `${archive.path} has no index.json, so it is not an archive of an image layout`,
    {
      hint: isDocker ? `it is one of docker save: name it docker-archive:${archive.path}` : "check the path",
    },
  );
}
