/**
 * Images into a directory that is an image layout, OCI image-spec "image-layout.md". Every file appears whole: it is written
 * beside, synced and renamed. `index.json` comes last and is changed under a lock, so that two copies into one layout both
 * stay.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestAlgorithm } from "../../oci/digest.ts";
import type { Document, Index, Manifest } from "../../oci/manifest.ts";
import type { JsonObject } from "../../oci/strict-json.ts";
import { referrerEntry } from "../../oci/referrer-entry.ts";
import { replaceFile, syncNames } from "../../store/durable.ts";
import { lock } from "../../sys/flock.ts";
import { makeDirectory } from "../../sys/make-directory.ts";
import { addImage, emptyIndex, MAX_INDEX_BYTES, OCI_LAYOUT, parseEditableIndex } from "./layout-index.ts";
import { blobPath } from "./oci-layout.ts";
import { readSmallFile } from "./plain-file.ts";
import type { ImageSink, PutDocumentOptions } from "./types.ts";
import { once, verified } from "./verified.ts";

const TEMPORARY = ".varve-";
/** Half-written files of killed processes are removed when they are older, in milliseconds. */
const STALE_AFTER = 24 * 60 * 60 * 1000;
const FILE_MODE = 0o666;

interface NamedDocument {
  readonly document: Document;
  readonly name?: string | undefined;
  readonly artifactType?: string | undefined;
}

export class OciLayoutSink implements ImageSink {
  readonly #directory: string;
  readonly #tag: string | undefined;
  readonly #folders = new Set<string>();
  readonly #roots: NamedDocument[] = [];

  private constructor(directory: string, tag: string | undefined) {
    this.#directory = directory;
    this.#tag = tag;
  }

  /**
   * Makes the layout unless it is there.
   *
   * @throws VarveError `TARGET_NOT_EMPTY` when the directory holds something else
   */
  static async open(directory: string, options: { readonly tag?: string } = {}): Promise<OciLayoutSink> {
    try {
      const made = await makeDirectory(directory);
      if (made !== undefined) await syncNames(dirname(made));
      await prepare(directory).catch(async (error: unknown) => {
        if (made !== undefined) await rm(directory, { recursive: true, force: true });
        throw error;
      });
    } catch (error) {
      throw toVarveError(error, `writing the layout ${directory}`);
    }
    return new OciLayoutSink(directory, options.tag);
  }

  async has(descriptor: Descriptor): Promise<boolean> {
    const found = await stat(blobPath(this.#directory, descriptor.digest)).catch(() => undefined);
    return found?.isFile() === true && found.size === descriptor.size;
  }

  async putBlob(descriptor: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const folder = join(this.#directory, "blobs", digestAlgorithm(descriptor.digest));
    const temporary = this.#temporary();
    try {
      await mkdir(folder, { recursive: true });
      await using file = await open(temporary, "wx", FILE_MODE);
      for await (const chunk of verified(bytes, descriptor)) await file.appendFile(chunk);
      await file.sync();
      await rename(temporary, blobPath(this.#directory, descriptor.digest));
      this.#folders.add(folder);
    } catch (error) {
      await rm(temporary, { force: true });
      throw toVarveError(error, `writing ${descriptor.digest} to ${this.#directory}`);
    }
  }

  async putDocument(document: Manifest | Index, options: PutDocumentOptions): Promise<void> {
    const { bytes, digest, mediaType } = document;
    const descriptor = { mediaType, digest, size: bytes.length };
    if (!(await this.has(descriptor))) await this.putBlob(descriptor, once(bytes));
    if (options.referrer === true) this.#roots.push({ document, artifactType: referrerEntry(document).artifactType });
    else if (options.root) this.#roots.push({ document, name: options.name ?? this.#tag });
  }

  async commit(): Promise<void> {
    try {
      for (const folder of this.#folders) await syncNames(folder);
      if (this.#folders.size > 0) await syncNames(join(this.#directory, "blobs"));
      // This file is part of every layout and is never replaced, so it can carry the lock.
      using _lock = await lock(join(this.#directory, "oci-layout"));
      const index = await this.#readIndex();
      for (const { document, name, artifactType } of this.#roots) addImage(index, document, name, artifactType);
      await this.#replace("index.json", JSON.stringify(index));
    } catch (error) {
      throw toVarveError(error, `writing index.json of ${this.#directory}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #readIndex(): Promise<JsonObject> {
    try {
      return parseEditableIndex(
        await readSmallFile(join(this.#directory, "index.json"), MAX_INDEX_BYTES),
        this.#directory,
      );
    } catch (error) {
      if (isVarveError(error, "FILE_NOT_FOUND")) return emptyIndex();
      throw error;
    }
  }

  #replace(name: string, text: string): Promise<void> {
    const options = { syncIn: this.#directory, mode: FILE_MODE };
    return replaceFile(join(this.#directory, name), this.#temporary(), text, options);
  }

  #temporary(): string {
    return temporaryIn(this.#directory);
  }
}

function temporaryIn(directory: string): string {
  return join(directory, `${TEMPORARY}${randomUUID()}`);
}

async function prepare(directory: string): Promise<void> {
  const names = await readdir(directory);
  // Another copy may be at this very point; its half-made files are no foreign ones.
  const others = names.filter((name) => !name.startsWith(TEMPORARY));
  if (others.length > 0 && !["oci-layout", "index.json", "blobs"].some((name) => names.includes(name))) {
    throw new VarveError("TARGET_NOT_EMPTY", `${directory} is not an image layout, and not empty`);
  }
  if (!names.includes("oci-layout")) await placeMarker(directory);
  for (const name of names.filter((found) => found.startsWith(TEMPORARY))) await removeStale(join(directory, name));
}

/** Never replaces the file, which another copy may have locked by now. */
async function placeMarker(directory: string): Promise<void> {
  const marker = join(directory, "oci-layout");
  const temporary = temporaryIn(directory);
  try {
    await using file = await open(temporary, "wx", FILE_MODE);
    await file.writeFile(OCI_LAYOUT);
    await file.sync();
    await link(temporary, marker);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // File systems without hard links leave only the rename, and with it a small risk between two first copies.
    if (code === "EPERM" || code === "ENOTSUP") await rename(temporary, marker);
    else if (code !== "EEXIST") throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  await syncNames(directory);
}

async function removeStale(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && Date.now() - found.mtimeMs > STALE_AFTER) await rm(path, { force: true });
}
