/** What `fsck` needs of the store beyond what everybody may do: looking at the metadata itself, and putting it right. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { isVarveError } from "../errors/varve-error.ts";
import { isDigest } from "../oci/digest.ts";
import type { Connection } from "./connection.ts";
import type { Metadata } from "./database.ts";
import type { ImageEntry, ImageStore } from "./images.ts";
import { ALGORITHMS, type StoreLayout } from "./layout.ts";
import type { Partial } from "./partials.ts";
import type { RecoveredImage } from "./recover.ts";

const MOST_PROBLEMS = 20;

export interface DatabaseFaults {
  /** Of the file itself, as SQLite tells them. */
  readonly damage: readonly string[];
  /** Names of images whose rows make no sense. */
  readonly badImages: readonly string[];
}

export class Examination {
  readonly #layout: StoreLayout;
  readonly #metadata: Metadata;
  readonly #images: ImageStore;

  constructor(layout: StoreLayout, metadata: Metadata, images: ImageStore) {
    this.#layout = layout;
    this.#metadata = metadata;
    this.#images = images;
  }

  get database(): string {
    return this.#layout.database;
  }

  get indexJson(): string {
    return this.#layout.indexJson;
  }

  /** Whether `oci-layout` is missing or empty, as a power loss can leave it. The next command that may write makes it anew. */
  async isLayoutLost(): Promise<boolean> {
    if (!existsSync(this.#layout.blobs)) return false;
    return (await readFile(this.#layout.ociLayout, "utf8").catch(() => "")).trim() === "";
  }

  /** @throws VarveError `STORE_NEWER`, `STORE_BUSY`, `PERMISSION`, `IO` */
  async databaseFaults(): Promise<DatabaseFaults> {
    try {
      const connection = await this.#metadata.readable();
      if (connection === undefined) return { damage: [], badImages: [] };
      return { damage: damageOf(connection), badImages: badImages(connection) };
    } catch (error) {
      if (isVarveError(error, "STORE_CORRUPT")) return { damage: [error.message], badImages: [] };
      throw error;
    }
  }

  /** Images that index.json names and the database does not, when it never knew any: it is not the one that wrote that file. */
  async lostImages(): Promise<RecoveredImage[]> {
    return (await this.#images.changes()) === 0 ? this.imagesInIndex() : [];
  }

  /** All that index.json tells of images. */
  async imagesInIndex(): Promise<RecoveredImage[]> {
    const { imagesInIndex } = await import("./recover.ts");
    return imagesInIndex(this.#layout);
  }

  /** What is wrong with index.json. A change that is recorded and not written there yet is nothing wrong. */
  async indexFault(): Promise<string | undefined> {
    // Neither is a store that is not made yet.
    if (!existsSync(this.#layout.blobs)) return undefined;
    const { indexFault } = await import("./recover.ts");
    for (;;) {
      const changes = await this.#images.changes();
      if (await this.#images.isIndexDue()) return undefined;
      const fault = await indexFault(this.#layout, await this.#images.list());
      // Both are read one after the other: what another process did in between is no fault.
      if (fault === undefined || changes === (await this.#images.changes())) return fault;
    }
  }

  /** What in `blobs/` and `disks/` has a name that nothing of the store has, as paths. */
  async *strayFiles(): AsyncGenerator<string> {
    const { blobs, disks, partialDisks } = this.#layout;
    const known = new Set(ALGORITHMS.map((algorithm) => join(blobs, algorithm)));
    for (const directory of await pathsIn(blobs)) {
      if (!known.has(directory)) yield directory;
      else yield* strayNames(directory, isDigest);
    }
    const knownDisks = new Set(ALGORITHMS.map((algorithm) => join(disks, algorithm)));
    for (const directory of await pathsIn(disks)) {
      if (directory === partialDisks) continue;
      if (!knownDisks.has(directory)) yield directory;
      else yield* strayNames(directory, (text) => isDigest(text.replace(/\.index$/, "")));
    }
  }

  async *partials(): AsyncGenerator<Partial> {
    const { findPartials } = await import("./partials.ts");
    yield* findPartials(this.#layout);
  }

  /** Moves a damaged database aside; the next use makes an empty one. @returns where it is now */
  setDatabaseAside(): Promise<string> {
    return this.#metadata.setAside();
  }

  /** Puts images back, all at once, in the place of rows that make no sense. */
  restoreImages(entries: readonly ImageEntry[], senseless: readonly string[] = []): Promise<void> {
    return this.#images.restore(entries, senseless);
  }

  rewriteIndex(): Promise<void> {
    return this.#images.writeIndex({ force: true });
  }
}

/** Names in the folder of an algorithm that are not what they ought to be, given as `ALGORITHM:NAME`. */
async function* strayNames(directory: string, isKnown: (text: string) => boolean): AsyncGenerator<string> {
  const algorithm = basename(directory);
  for (const name of await namesIn(directory)) if (!isKnown(`${algorithm}:${name}`)) yield join(directory, name);
}

async function pathsIn(directory: string): Promise<string[]> {
  return (await namesIn(directory)).map((name) => join(directory, name));
}

function damageOf(connection: Connection): string[] {
  const damage = connection
    .all(`PRAGMA integrity_check(${MOST_PROBLEMS})`)
    .map((row) => String(row["integrity_check"]))
    .filter((text) => text !== "ok");
  const dangling = connection.all("PRAGMA foreign_key_check").length;
  return dangling === 0 ? damage : [...damage, `${dangling} rows belong to leases that do not exist`];
}

function badImages(connection: Connection): string[] {
  return connection
    .all("SELECT name, digest, manifest, config_digest FROM images")
    .filter(({ digest, manifest, config_digest: config }) => {
      return !isDigest(digest) || !isDescriptor(manifest) || (config !== null && !isDigest(config));
    })
    .map(({ name }) => String(name));
}

function isDescriptor(text: unknown): boolean {
  try {
    const { digest, mediaType, size } = JSON.parse(String(text)) as Record<string, unknown>;
    return isDigest(digest) && typeof mediaType === "string" && Number.isSafeInteger(size);
  } catch {
    return false;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw toVarveError(error, "listing the store's content");
  }
}
