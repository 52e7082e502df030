/**
 * The store's images: names, and what each points to. The database is the truth; the layout's index.json is made from it
 * for other tools after each change (see image-index.ts).
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Connection, Row } from "./connection.ts";
import type { Metadata } from "./database.ts";
import { writeImageIndex } from "./image-index.ts";
import type { StoreLayout } from "./layout.ts";
import type { StoreLocks } from "./locks.ts";

const MAX_NAME_LENGTH = 1024;

export interface ImageEntry {
  /** The canonical reference, for example `docker.io/library/debian:12`. */
  readonly name: string;
  /** Of the root manifest or index, as pulled. */
  readonly descriptor: Descriptor;
  /** Of the manifest that was chosen for a platform, with that platform. Default: the root. */
  readonly manifest?: Descriptor;
  readonly configDigest?: Digest;
}

export interface ImageRecord extends ImageEntry {
  readonly manifest: Descriptor;
  /** When the name first came into the store. */
  readonly createdAt: Date;
  /** When it was last put. */
  readonly updatedAt: Date;
}

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
    const { name, descriptor, manifest = descriptor, configDigest = null } = entry;
    const now = this.#options.now();
    const row = await this.#change((connection) => {
      const values = [name, descriptor.digest, descriptor.mediaType, descriptor.size, JSON.stringify(manifest)];
      return connection.get(UPSERT, ...values, configDigest, now, now)!;
    });
    return toRecord(row);
  }

  async get(name: string): Promise<ImageRecord | undefined> {
    const row = (await this.#readable())?.get(`${SELECT} WHERE name = ?`, name);
    return row && toRecord(row);
  }

  /** All images, by name. */
  async list(): Promise<ImageRecord[]> {
    return ((await this.#readable())?.all(`${SELECT} ORDER BY name`) ?? []).map(toRecord);
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

  /** Brings index.json up to date with the database. Done by every change; needed again only after a crash between both. */
  async writeIndex(): Promise<void> {
    const { layout, locks, metadata, sync } = this.#options;
    using _lock = await locks.named("index");
    const connection = await metadata.writable();
    const { wanted, written } = indexState(connection);
    if (wanted === written) return;
    await writeImageIndex(layout, connection.all(`${SELECT} ORDER BY name`).map(toRecord), { sync });
    connection.run("UPDATE state SET value = ? WHERE key = 'index_written'", wanted);
  }

  /** One transaction, then index.json. The content lock keeps removers from deciding on half of it (see unreferenced.ts). */
  async #change<T>(work: (connection: Connection) => T): Promise<T> {
    const connection = await this.#options.metadata.writable();
    let result: T;
    {
      using _lock = await this.#options.locks.named("content", { shared: true });
      result = connection.transaction(() => {
        const done = work(connection);
        connection.run("UPDATE state SET value = value + 1 WHERE key = 'index_wanted'");
        return done;
      });
    }
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

const SELECT = "SELECT name, digest, media_type, size, manifest, config_digest, created_at, updated_at FROM images";

const UPSERT = `
  INSERT INTO images (name, digest, media_type, size, manifest, config_digest, created_at, updated_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, media_type = excluded.media_type, size = excluded.size,
    manifest = excluded.manifest, config_digest = excluded.config_digest, updated_at = excluded.updated_at
  RETURNING *`;

function indexState(connection: Connection): { wanted: number; written: number } {
  const value = (key: string): number =>
    Number(connection.get("SELECT value FROM state WHERE key = ?", key)?.["value"]);
  // In this order: a change that comes in between makes the index look older than it is, and it is written once too often.
  return { written: value("index_written"), wanted: value("index_wanted") };
}

function mustBeName(name: string): void {
  // oxlint-disable-next-line no-control-regex
  if (name.length > 0 && name.length <= MAX_NAME_LENGTH && !/[\s\u0000-\u001f\u007f]/.test(name)) return;
  throw new VarveError("REFERENCE_INVALID", `not an image's name: ${JSON.stringify(name.slice(0, 160))}`);
}

function toRecord(row: Row): ImageRecord {
  const configDigest = row["config_digest"];
  return {
    name: row["name"] as string,
    descriptor: {
      mediaType: row["media_type"] as string,
      digest: row["digest"] as Digest,
      size: row["size"] as number,
    },
    manifest: JSON.parse(row["manifest"] as string) as Descriptor,
    ...(configDigest !== null && { configDigest: configDigest as Digest }),
    createdAt: new Date(row["created_at"] as number),
    updatedAt: new Date(row["updated_at"] as number),
  };
}
