/**
 * The folder of one partial blob, `ingest/<key>/{data,journal}`, and the steps that end it. Whoever calls these holds the
 * digest's lock. The order of the steps, and what a death after each of them leaves:
 *
 *     commit   chmod, fsync data       -> still partial; its journal resumes what it had recorded
 *              rename data to blobs/   -> the blob is there, or after a power cut still in the folder with its journal
 *              fsync blobs/<alg>       -> the blob is there for good
 *              remove the folder       -> done; a folder without data beside a present blob is swept at the next chance
 *     discard  rename to <key>.trash   -> nothing partial is left under the key; the trash is swept at the next chance
 *              remove the trash
 */
import { constants } from "node:fs";
import { chmod, mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Digest } from "../oci/digest.ts";
import { digestAlgorithm } from "../oci/digest.ts";
import { OwnFile, type DataFile } from "./data-file.ts";
import { syncNames } from "./durable.ts";
import type { IngestPlace, StepHook } from "./ingest-place.ts";
import type { StoreLayout } from "./layout.ts";

const TRASH = ".trash";

export class IngestFolder implements IngestPlace {
  readonly earlyJournal = 1024 * 1024;
  readonly digest: Digest;
  readonly data: string;
  readonly journal: string;
  /** Where the blob goes. */
  readonly published: string;
  readonly #layout: StoreLayout;
  readonly #path: string;

  constructor(layout: StoreLayout, digest: Digest) {
    this.#layout = layout;
    this.#path = layout.ingest(digest);
    this.digest = digest;
    this.data = join(this.#path, "data");
    this.journal = join(this.#path, "journal");
    this.published = layout.blob(digest);
  }

  async make(): Promise<void> {
    await mkdir(this.#path, { recursive: true });
  }

  /** Sized to the blob; what was never written reads as zeros. */
  async open(size: number, usable: boolean): Promise<DataFile> {
    await rm(trashOf(this.#path), { recursive: true, force: true });
    await this.make();
    const file = await openData(this.data);
    try {
      const found = usable ? (await file.stat()).size : 0;
      if (!usable) await file.truncate(0);
      await file.truncate(size);
      return new OwnFile(file, Math.min(found, size));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async syncNames(): Promise<void> {
    await syncNames(this.#path);
    await syncNames(this.#layout.ingests);
  }

  /** Moves the data, which the caller has synced, to its place among the blobs; replaces what is there. */
  async publish(sync: boolean, step: StepHook): Promise<void> {
    const directory = this.#layout.blobDirectory(digestAlgorithm(this.digest));
    const made = await mkdir(directory, { recursive: true });
    await rename(this.data, this.published);
    step("renamed");
    if (sync) {
      await syncNames(directory);
      if (made !== undefined) await syncNames(dirname(directory));
    }
    step("names-synced");
    await this.remove();
    step("removed");
  }

  /** Sets the partial data aside in one step, then removes it. */
  async discard(step: StepHook): Promise<void> {
    await rm(trashOf(this.#path), { recursive: true, force: true });
    try {
      await rename(this.#path, trashOf(this.#path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    step("trashed");
    await rm(trashOf(this.#path), { recursive: true, force: true });
    step("removed");
  }

  /** Removes the folder and its trash; for when the data has gone elsewhere or was never there. */
  async remove(): Promise<void> {
    await rm(this.#path, { recursive: true, force: true });
    await rm(trashOf(this.#path), { recursive: true, force: true });
  }
}

/** What a folder is called while it is removed. */
export function trashOf(path: string): string {
  return path + TRASH;
}

/** The key that a folder of trash was once named by; undefined for any other name. */
export function trashedKey(name: string): string | undefined {
  return name.endsWith(TRASH) ? name.slice(0, -TRASH.length) : undefined;
}

/** The data of a partial blob or disk, made when it is missing. */
export async function openData(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  try {
    return await open(path, flags, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
    // A process died in its commit, between making the file read-only and moving it.
    await chmod(path, 0o600);
    return open(path, flags, 0o600);
  }
}
