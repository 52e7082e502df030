/** Images out of a directory that is an image layout, OCI image-spec "image-layout.md". Nothing in it is believed unhashed. */
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestAlgorithm, digestHex, type Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { checkLayoutVersion, chooseImage, listEntries, MAX_INDEX_BYTES, type ImageChoice } from "./layout-index.ts";
import { LayoutReferrers } from "./layout-referrers.ts";
import { openToRead, readRange, readSmallFile } from "./plain-file.ts";
import { readDocument } from "./read-document.ts";
import type { ImageSource } from "./types.ts";
import { verified } from "./verified.ts";

export class OciLayoutSource implements ImageSource {
  readonly #directory: string;
  readonly #index: Buffer;
  readonly #root: Descriptor;
  #referrers: LayoutReferrers | undefined;

  private constructor(directory: string, index: Buffer, root: Descriptor) {
    this.#directory = directory;
    this.#index = index;
    this.#root = root;
  }

  /**
   * @throws VarveError `FILE_NOT_FOUND`, `ARCHIVE_INVALID`, `MANIFEST_UNKNOWN`, or `REFERENCE_INVALID` when it has several
   * images and none was chosen
   */
  static async open(directory: string, choice: ImageChoice = {}): Promise<OciLayoutSource> {
    await checkVersion(directory);
    const index = await readIndex(directory);
    return new OciLayoutSource(directory, index, chooseImage(index, choice, directory));
  }

  root(): Promise<Manifest | Index> {
    return this.document(this.#root);
  }

  document(descriptor: Descriptor): Promise<Manifest | Index> {
    return readDocument(descriptor, (blob) => this.blob(blob));
  }

  async *blob(descriptor: Descriptor, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const { digest, size } = descriptor;
    await using file = await this.#open(digest);
    yield* verified(readRange(file, 0, Number.MAX_SAFE_INTEGER, signal), { digest, size }, { signal });
  }

  async *blobFrom(
    { digest }: Descriptor,
    start: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    await using file = await this.#open(digest);
    yield* readRange(file, start, Number.MAX_SAFE_INTEGER, signal);
  }

  referrers(subject: Digest): Promise<readonly Descriptor[]> {
    this.#referrers ??= new LayoutReferrers(listEntries(this.#index, this.#directory), (entry) => this.document(entry));
    return this.#referrers.of(subject);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #open(digest: Digest): Promise<FileHandle> {
    try {
      await using opened = new AsyncDisposableStack();
      const file = opened.use(await openToRead(blobPath(this.#directory, digest)));
      if (!(await file.stat()).isFile())
        throw new VarveError("ARCHIVE_INVALID", `blob ${digest} is not a regular file`);
      opened.move();
      return file;
    } catch (error) {
      if (!isVarveError(error, "FILE_NOT_FOUND")) throw error;
      throw new VarveError("BLOB_UNKNOWN", `${this.#directory} lacks blob ${digest}`, {
        hint: "the layout is not complete; copy the image into it again",
        cause: error,
      });
    }
  }
}

export function blobPath(directory: string, digest: Digest): string {
  return join(directory, "blobs", digestAlgorithm(digest), digestHex(digest));
}

/** The file is required, but tools read layouts without it. */
async function checkVersion(directory: string): Promise<void> {
  try {
    checkLayoutVersion(await readSmallFile(join(directory, "oci-layout"), 4096), directory);
  } catch (error) {
    if (!isVarveError(error, "FILE_NOT_FOUND")) throw error;
  }
}

async function readIndex(directory: string): Promise<Buffer> {
  try {
    return await readSmallFile(join(directory, "index.json"), MAX_INDEX_BYTES);
  } catch (error) {
    if (!isVarveError(error, "FILE_NOT_FOUND")) throw error;
    throw new VarveError("FILE_NOT_FOUND", `${directory} is not an image layout: it has no index.json`, {
      hint: "check the path; a file is read with oci-archive: or docker-archive:",
      cause: error,
    });
  }
}
