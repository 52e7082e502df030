/**
 * The store's images: names, and what each points to. The database is the truth; the layout's index.json is made from it
 * for other tools after each change (see image-index.ts).
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Connection } from "./connection.ts";
import type { Metadata } from "./database.ts";
import { selectImage, selectImages, tagOf, upsertImage, type ImageEntry, type ImageRecord } from "./image-record.ts";
import type { StoreLayout } from "./layout.ts";
import type { StoreLocks } from "./locks.ts";

export type { ImageEntry, ImageRecord } from "./image-record.ts";

const MAX_NAME_LENGTH = 1024;
/** An image that was noted to be in use is so for this long. */
const TOUCH_MS = 60 * 60 * 1000;

export interface ImageStoreOptions {
  readonly layout: StoreLayout;
  readonly locks: StoreLocks;
  readonly metadata: Metadata;
  readonly readOnly: boolean;
  readonly sync: boolean;
  readonly now: () => number;
}

export class ImageStore {
  readonly #options: ImageStoreOptions;
  #healed = false;

  constructor(options: ImageStoreOptions) {
    this.#options = options;
  }

  /** Records what a name points to, in the place of what it pointed to before. Its content must be stored and leased. */
  async put(entry: ImageEntry): Promise<ImageRecord> {
    mustBeName(entry.name);
    return this.#change((connection) => upsertImage(connection, entry, this.#options.now()));
  }

  async get(name: string): Promise<ImageRecord | undefined> {
    const connection = await this.#readable();
    return connection && selectImage(connection, name);
  }

  /** All images, by name. */
  async list(): Promise<ImageRecord[]> {
    const connection = await this.#readable();
    return connection === undefined ? [] : selectImages(connection);
  }

  /** Takes the names out, all or, when one is unknown, none. @throws VarveError `IMAGE_NOT_FOUND` */
  async delete(...names: readonly string[]): Promise<void> {
    await this.#change((connection) => {
      for (const name of names) {
        if (connection.run("DELETE FROM images WHERE name = ?", name) > 0) continue;
        throw new VarveError("IMAGE_NOT_FOUND", `the store has no image ${name}`);
      }
    });
  }

  /**
   * Gives what `name` points to one more name, in one step: what has just been taken out cannot come back without its content.
   * @throws VarveError `IMAGE_NOT_FOUND`
   */
  async alias(name: string, added: string): Promise<ImageRecord> {
    mustBeName(added);
    return this.#change((connection) => {
      const found = selectImage(connection, name);
      if (found !== undefined) return upsertImage(connection, { ...found, name: added }, this.#options.now());
      throw new VarveError("IMAGE_NOT_FOUND", `the store has no image ${name}`);
    });
  }

  /** Takes out those of the images that are as they were when they were looked up. @returns their names */
  async deleteUnchanged(records: readonly ImageRecord[]): Promise<string[]> {
    if (records.length === 0) return [];
    return this.#change((connection) =>
      records.flatMap(({ name, descriptor, updatedAt }) => {
        const same = "DELETE FROM images WHERE name = ? AND digest = ? AND updated_at = ?";
        return connection.run(same, name, descriptor.digest, updatedAt.getTime()) > 0 ? [name] : [];
      }),
    );
  }

  /**
   * Notes, to the hour, that a pull found the image up to date: most such pulls then write nothing. A tag that other images have
   * as well is now this one's in index.json.
   */
  async touch(name: string): Promise<void> {
    const connection = await this.#options.metadata.writable();
    const images = selectImages(connection);
    const own = images.find((image) => image.name === name);
    if (own === undefined) return;
    const now = this.#options.now();
    const tag = tagOf(name);
    const isContested = images.some(
      (other) => other !== own && tag !== undefined && tagOf(other.name) === tag && other.updatedAt >= own.updatedAt,
    );
    const update = (): number => connection.run("UPDATE images SET updated_at = ? WHERE name = ?", now, name);
    if (isContested) await this.#change(update);
    else if (now - own.updatedAt.getTime() >= TOUCH_MS) update();
  }

  /** Puts entries in and takes names out, all at once. Their content need not be there: `fsck` sees to that. */
  async restore(entries: readonly ImageEntry[], without: readonly string[] = []): Promise<void> {
    await this.#change((connection) => {
      for (const name of without) connection.run("DELETE FROM images WHERE name = ?", name);
      for (const entry of entries) upsertImage(connection, entry, this.#options.now());
    });
  }

  /** Whether a change is recorded that index.json does not show yet. */
  async isIndexDue(): Promise<boolean> {
    const connection = await this.#options.metadata.readable();
    if (connection === undefined) return false;
    const { wanted, written } = indexState(connection);
    return wanted !== written;
  }

  /** How often images were put or taken out in this store's life: another number means that {@link list} may have changed. */
  async changes(): Promise<number> {
    const connection = await this.#readable();
    return connection === undefined ? 0 : indexState(connection).wanted;
  }

  /** Brings index.json up to date with the database. Done by every change; needed again only after a crash between both. */
  async writeIndex(options: { readonly force?: boolean } = {}): Promise<void> {
    const { layout, locks, metadata, sync } = this.#options;
    using _lock = await locks.named("index");
    const connection = await metadata.writable();
    const { wanted, written } = indexState(connection);
    if (wanted === written && options.force !== true) return;
    const { writeImageIndex } = await import("./image-index.ts");
    await writeImageIndex(layout, selectImages(connection), { sync });
    connection.run("UPDATE state SET value = ? WHERE key = 'index_written'", wanted);
  }

  /** One transaction, then index.json. */
  async #change<T>(work: (connection: Connection) => T): Promise<T> {
    const connection = await this.#options.metadata.writable();
    const result = connection.transaction(() => {
      const done = work(connection);
      connection.run("UPDATE state SET value = value + 1 WHERE key = 'index_wanted'");
      return done;
    });
    await this.writeIndex();
    return result;
  }

  async #readable(): Promise<Connection | undefined> {
    const connection = await this.#options.metadata.readable();
    if (connection !== undefined && !this.#options.readOnly && !this.#healed) {
      const { wanted, written } = indexState(connection);
      if (wanted !== written) await this.writeIndex();
      this.#healed = true;
    }
    return connection;
  }
}

function indexState(connection: Connection): { wanted: number; written: number } {
  const value = (key: string): number =>
    Number(connection.get("SELECT value FROM state WHERE key = ?", key)?.["value"]);
  // In this order: a change that comes in between makes the index look older than it is, and it is written once too often.
  return { written: value("index_written"), wanted: value("index_wanted") };
}

/** {@link ImageStore.changes} within a transaction. */
export function imageChanges(connection: Connection): number {
  return indexState(connection).wanted;
}

function mustBeName(name: string): void {
  // oxlint-disable-next-line no-control-regex
  if (name.length > 0 && name.length <= MAX_NAME_LENGTH && !/[\s\u0000-\u001f\u007f]/.test(name)) return;
  throw new VarveError("REFERENCE_INVALID", `not an image's name: ${JSON.stringify(name.slice(0, 160))}`);
}
