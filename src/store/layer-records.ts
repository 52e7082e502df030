/** What was learnt of layer blobs when they were verified, so that it need not be learnt again. */
import type { Digest } from "../oci/digest.ts";
import type { Row } from "./connection.ts";
import type { Metadata } from "./database.ts";

export interface LayerRecord {
  /** Of the blob, as in the manifest. */
  readonly digest: Digest;
  /** Of the uncompressed tar. Several blobs may have the same one. */
  readonly diffId: Digest;
  readonly mediaType: string;
  /** Of the blob, bytes. */
  readonly size: number;
  /** Of the tar, bytes. */
  readonly uncompressedSize: number;
  /** Entries of the tar. */
  readonly entries: number;
  readonly verifiedAt: Date;
  /**
   * Since when the blob is not wanted here, because the layer is held unpacked. It may never have been here: then its DiffID is what the
   * image says, and sizes are those of the unpacked layer.
   */
  readonly discardedAt?: Date;
}

export class LayerRecords {
  readonly #metadata: Metadata;

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  /** Records layers, in the place of what was known of the same blobs, in one transaction. */
  async put(...records: readonly LayerRecord[]): Promise<void> {
    if (records.length === 0) return;
    const connection = await this.#metadata.writable();
    connection.transaction(() => {
      for (const record of records) {
        const { digest, diffId, mediaType, size, uncompressedSize, entries, verifiedAt, discardedAt } = record;
        const times = [verifiedAt.getTime(), discardedAt?.getTime() ?? null];
        connection.run(PUT, digest, diffId, mediaType, size, uncompressedSize, entries, ...times);
      }
    });
  }

  async get(digest: Digest): Promise<LayerRecord | undefined> {
    const row = (await this.#metadata.readable())?.get(`${SELECT} WHERE digest = ?`, digest);
    return row && toRecord(row);
  }

  /** All blobs that hold the same layer, however compressed. */
  async findByDiffId(diffId: Digest): Promise<LayerRecord[]> {
    const connection = await this.#metadata.readable();
    return (connection?.all(`${SELECT} WHERE diff_id = ? ORDER BY digest`, diffId) ?? []).map(toRecord);
  }

  /** All records, by digest, a few hundred at a time: no transaction stays open while the caller works. */
  async *list(): AsyncGenerator<LayerRecord> {
    const connection = await this.#metadata.readable();
    let after = "";
    for (;;) {
      const rows = connection?.all(`${SELECT} WHERE digest > ? ORDER BY digest LIMIT ?`, after, PAGE) ?? [];
      const records = rows.map(toRecord);
      yield* records;
      const last = records.at(-1);
      if (last === undefined || records.length < PAGE) return;
      after = last.digest;
    }
  }

  /** Takes out those of the records that nobody has written anew since they were read, in one transaction. @returns how many */
  async deleteUnchanged(records: readonly LayerRecord[]): Promise<number> {
    if (records.length === 0) return 0;
    const connection = await this.#metadata.writable();
    const one = "DELETE FROM layers WHERE digest = ? AND verified_at = ? AND discarded_at IS ?";
    return connection.transaction(() =>
      records.reduce((sum, { digest, verifiedAt, discardedAt }) => {
        return sum + connection.run(one, digest, verifiedAt.getTime(), discardedAt?.getTime() ?? null);
      }, 0),
    );
  }

  /** @returns whether there was one */
  async delete(digest: Digest): Promise<boolean> {
    return (await this.#metadata.writable()).run("DELETE FROM layers WHERE digest = ?", digest) > 0;
  }
}

const PAGE = 500;

const PUT = `
  INSERT OR REPLACE INTO layers
  (digest, diff_id, media_type, size, uncompressed_size, entries, verified_at, discarded_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;

const SELECT = `
  SELECT digest, diff_id, media_type, size, uncompressed_size, entries, verified_at, discarded_at FROM layers`;

function toRecord(row: Row): LayerRecord {
  return {
    digest: row["digest"] as Digest,
    diffId: row["diff_id"] as Digest,
    mediaType: row["media_type"] as string,
    size: row["size"] as number,
    uncompressedSize: row["uncompressed_size"] as number,
    entries: row["entries"] as number,
    verifiedAt: new Date(row["verified_at"] as number),
    ...(row["discarded_at"] !== null && { discardedAt: new Date(row["discarded_at"] as number) }),
  };
}
