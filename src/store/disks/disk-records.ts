/**
 * What the store's disks hold, by digest, so that pulls find it. Rows are written before the file gets its name and deleted after it went: a
 * disk never lacks rows for having been cut off, and rows without a file say nothing. When the database is lost, disks are still there
 * under their keys and are only no sources of content; `DiskStore.recordContents` says again what they hold.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Row } from "../connection.ts";
import type { Metadata } from "../database.ts";
import type { DiskContent } from "./types.ts";

/** Digests that are asked for in one statement. */
const AT_ONCE = 500;

export interface RecordedPlace extends DiskContent {
  readonly key: Digest;
}

export class DiskRecords {
  readonly #metadata: Metadata;
  readonly #now: () => number;

  constructor(metadata: Metadata, now: () => number) {
    this.#metadata = metadata;
    this.#now = now;
  }

  /** Records a disk and all that it holds, in the place of what was known of it, in one transaction. */
  async put(disk: { readonly key: Digest; readonly size: number }, contents: readonly DiskContent[]): Promise<void> {
    const connection = await this.#metadata.writable();
    connection.transaction(() => {
      connection.run("DELETE FROM disks WHERE key = ?", disk.key);
      connection.run("INSERT INTO disks (key, size, created_at) VALUES (?, ?, ?)", disk.key, disk.size, this.#now());
      for (const { digest, offset, size } of contents) {
        connection.run(
          "INSERT INTO disk_contents (digest, disk, offset, size) VALUES (?, ?, ?, ?)",
          digest,
          disk.key,
          offset,
          size,
        );
      }
    });
  }

  /** For each of at most a few hundred digests, one place in each disk that has it. */
  async places(digests: readonly Digest[]): Promise<RecordedPlace[]> {
    const connection = await this.#metadata.readable();
    return (connection?.all(PLACES, JSON.stringify(digests)) ?? []).map(toPlace);
  }

  /** All that a disk holds, in the order of its offsets. */
  async contents(key: Digest): Promise<DiskContent[]> {
    const rows = (await this.#metadata.readable())?.all(CONTENTS, key) ?? [];
    return rows.map(toPlace).map(({ digest, offset, size }) => ({ digest, offset, size }));
  }

  /** Bytes that the disk was recorded with; undefined of one that there are no rows of. */
  async size(key: Digest): Promise<number | undefined> {
    const [row] = (await this.#metadata.readable())?.all("SELECT size FROM disks WHERE key = ?", key) ?? [];
    return row?.["size"] as number | undefined;
  }

  /** The disks that there are rows of. */
  async keys(): Promise<Digest[]> {
    const rows = (await this.#metadata.readable())?.all("SELECT key FROM disks ORDER BY key") ?? [];
    return rows.map(({ key }) => key as Digest);
  }

  async delete(key: Digest): Promise<void> {
    (await this.#metadata.writable()).run("DELETE FROM disks WHERE key = ?", key);
  }
}

const PLACES = `
  SELECT c.digest, c.disk, min(c.offset) AS offset, c.size
  FROM json_each(?) AS wanted JOIN disk_contents AS c ON c.digest = wanted.value
  GROUP BY c.digest, c.disk`;

const CONTENTS = "SELECT digest, disk, offset, size FROM disk_contents WHERE disk = ? ORDER BY offset";

function toPlace(row: Row): RecordedPlace {
  return {
    key: row["disk"] as Digest,
    digest: row["digest"] as Digest,
    offset: row["offset"] as number,
    size: row["size"] as number,
  };
}

/** The digests in groups that fit a statement. */
export function* inBatches(digests: Iterable<Digest>): Generator<Digest[]> {
  let batch: Digest[] = [];
  for (const digest of digests) {
    batch.push(digest);
    if (batch.length < AT_ONCE) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** @throws VarveError `INTERNAL` unless the contents are in order, apart, and within the disk */
export function checkContents(contents: readonly DiskContent[], size: number): void {
  let end = 0;
  for (const content of contents) {
    if (content.offset < end || content.size <= 0 || content.offset + content.size > size) {
      throw new VarveError(
        "INTERNAL",
        `${content.digest} cannot be at ${content.offset}+${content.size} of a disk of ${size} bytes, behind ${end}`,
      );
    }
    end = content.offset + content.size;
  }
}
