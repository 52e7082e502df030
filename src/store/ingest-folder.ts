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
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Digest } from "../oci/digest.ts";
import { digestAlgorithm } from "../oci/digest.ts";
import { syncNames } from "./durable.ts";
import type { StoreLayout } from "./layout.ts";

/** Told after each step of a commit, a discard or a collection of garbage, so that tests can die there. */
export type StepHook = (
  step: "synced" | "renamed" | "names-synced" | "removed" | "trashed" | "marked" | "unlinked" | "swept" | "tidied",
) => void;

const TRASH = ".trash";

export class IngestFolder {
  readonly digest: Digest;
  readonly data: string;
  readonly journal: string;
  /** Where the blob goes. */
  readonly blob: string;
  readonly #layout: StoreLayout;
  readonly #path: string;

  constructor(layout: StoreLayout, digest: Digest) {
    this.#layout = layout;
    this.#path = layout.ingest(digest);
    this.digest = digest;
    this.data = join(this.#path, "data");
    this.journal = join(this.#path, "journal");
    this.blob = layout.blob(digest);
  }

  async make(): Promise<void> {
    await rm(this.#path + TRASH, { recursive: true, force: true });
    await mkdir(this.#path, { recursive: true });
  }

  /** Makes the folder's own names durable, so that the journal can be found after a power cut. */
  async syncNames(): Promise<void> {
    await syncNames(this.#path);
    await syncNames(this.#layout.ingests);
  }

  /** Moves the data, which the caller has synced, to its place among the blobs; replaces what is there. */
  async publish(sync: boolean, step: StepHook): Promise<void> {
    const directory = this.#layout.blobDirectory(digestAlgorithm(this.digest));
    const made = await mkdir(directory, { recursive: true });
    await rename(this.data, this.blob);
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
    await rm(this.#path + TRASH, { recursive: true, force: true });
    try {
      await rename(this.#path, this.#path + TRASH);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    step("trashed");
    await rm(this.#path + TRASH, { recursive: true, force: true });
    step("removed");
  }

  /** Removes the folder and its trash; for when the data has gone elsewhere or was never there. */
  async remove(): Promise<void> {
    await rm(this.#path, { recursive: true, force: true });
    await rm(this.#path + TRASH, { recursive: true, force: true });
  }
}

/** The key that a folder of trash was once named by; undefined for any other name. */
export function trashedKey(name: string): string | undefined {
  return name.endsWith(TRASH) ? name.slice(0, -TRASH.length) : undefined;
}
