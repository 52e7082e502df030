/**
 * The repositories of `/v2/`: which of the store's content each one has, under which tags, and what refers to what. The bytes are blobs
 * of the store like all others; a row here is a root, so nothing that one names is ever collected, and what the last row let go of is
 * `gc`'s. A row is written while the digest's lock is held and the blob is there: nobody sees a row without its bytes unless somebody
 * damaged the store.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Row } from "./connection.ts";
import type { ContentStore } from "./content.ts";
import type { Metadata } from "./database.ts";
import type {
  BlobRecord,
  EvictOptions,
  ManifestRecord,
  PutManifestOptions,
  RepositoryContent,
  RepositoryKey,
  RepositoryOrigin,
  RepositoryRows,
  RepositoryUsage,
  TagRecord,
} from "./repository-types.ts";
import {
  ALL_CONTENT,
  ANY_CONTENT,
  CONTENT,
  DELETE_CONTENT,
  DELETE_EMPTY,
  IN,
  OLDEST,
  PUT_CONTENT,
  PUT_TAG,
  REFERRERS,
  TAGS,
  USAGE,
  forgetManifest,
  globbed,
  idOf,
  nowIs,
  putReferrer,
  toBlob,
  toContent,
  toTag,
} from "./repository-rows.ts";
import { RepositoryUses } from "./repository-uses.ts";
import type { LockWaitOptions } from "./locks.ts";

export type * from "./repository-types.ts";

/** A blob that is removed between its writing and its recording is written again so often. */
const TRIES = 5;
const PAGE = 500;

export class Repositories {
  readonly #metadata: Metadata;
  readonly #content: ContentStore;
  readonly #now: () => number;
  readonly #uses: RepositoryUses;

  constructor(metadata: Metadata, content: ContentStore, now: () => number) {
    this.#metadata = metadata;
    this.#content = content;
    this.#now = now;
    this.#uses = new RepositoryUses(metadata, now);
  }

  /** Names, in lexical order. */
  async list(origin: RepositoryOrigin): Promise<string[]> {
    const rows = await this.#all("SELECT name FROM repositories WHERE origin = ? ORDER BY name", origin);
    return rows.map(({ name }) => name as string);
  }

  /** Whether anything was ever put into it; a repository that lost all it had is there still, unless it is a mirror's. */
  async has({ origin, name }: RepositoryKey): Promise<boolean> {
    return (await this.#all("SELECT 1 FROM repositories WHERE origin = ? AND name = ?", origin, name)).length > 0;
  }

  /** What the repository knows of a manifest; its bytes are the store's content. */
  async manifest(key: RepositoryKey, digest: Digest): Promise<ManifestRecord | undefined> {
    const [row] = await this.#all(`${CONTENT} AND kind = 'manifest' AND digest = ?`, key.origin, key.name, digest);
    return row && { ...toBlob(row), mediaType: row["media_type"] as string };
  }

  async blob(key: RepositoryKey, digest: Digest): Promise<BlobRecord | undefined> {
    const [row] = await this.#all(`${CONTENT} AND kind = 'blob' AND digest = ?`, key.origin, key.name, digest);
    return row && toBlob(row);
  }

  /** Whether any repository has it whose name begins so. */
  async hasUnder(origin: RepositoryOrigin, prefix: string, digest: Digest): Promise<boolean> {
    return (
      (
        await this.#all(
          `${ALL_CONTENT} WHERE digest = ? AND origin = ? AND name GLOB ? LIMIT 1`,
          digest,
          origin,
          `${globbed(prefix)}*`,
        )
      ).length > 0
    );
  }

  /** A blob that any repository of this origin has. */
  async findBlob(origin: RepositoryOrigin, digest: Digest): Promise<BlobRecord | undefined> {
    const [row] = await this.#all(`${ANY_CONTENT} AND kind = 'blob' AND digest = ? LIMIT 1`, origin, digest);
    return row && toBlob(row);
  }

  /**
   * Records that the repository has a blob which the store has.
   * @returns false, and nothing is recorded, when the store lacks it
   */
  async addBlob(key: RepositoryKey, digest: Digest, options: LockWaitOptions = {}): Promise<boolean> {
    const recorded = await this.#content.whileThere(digest, ({ size }) => this.recordBlob(key, digest, size), options);
    return recorded !== undefined;
  }

  /** The same by a caller who holds the digest's lock and sees the blob, see `ContentStore.adopt`. */
  async recordBlob(key: RepositoryKey, digest: Digest, size: number): Promise<true> {
    const connection = await this.#metadata.writable();
    connection.transaction(() => {
      connection.run(PUT_CONTENT, idOf(connection, key, this.#now()), "blob", digest, size, null, this.#now());
    });
    return true;
  }

  /**
   * Stores a manifest, which has been checked, and names it.
   * @returns false, and nothing is changed, when `when` says no
   * @throws VarveError `DIGEST_MISMATCH`, `NO_SPACE`, `IO` ...
   */
  async putManifest(
    key: RepositoryKey,
    manifest: { readonly digest: Digest; readonly mediaType: string; readonly bytes: Uint8Array },
    options: PutManifestOptions = {},
  ): Promise<boolean> {
    const { digest, mediaType, bytes } = manifest;
    const connection = await this.#metadata.writable();
    const record = (): boolean =>
      connection.transaction(() => {
        const { when, tags = [], referrer } = options;
        if (when !== undefined && !when.is(nowIs(connection, key, when.reference))) return false;
        const id = idOf(connection, key, this.#now());
        connection.run(PUT_CONTENT, id, "manifest", digest, bytes.length, mediaType, this.#now());
        for (const tag of tags) connection.run(PUT_TAG, id, tag, digest, this.#now());
        if (referrer !== undefined) putReferrer(connection, id, referrer.subject, referrer.descriptor);
        return true;
      });
    for (let tries = 0; tries < TRIES; tries++) {
      await this.#content.writeBytes(digest, bytes);
      const recorded = await this.#content.whileThere(digest, record);
      if (recorded !== undefined) return recorded;
    }
    throw new VarveError("STORE_BUSY", `the manifest ${digest} is removed as often as it is written`);
  }

  async tag(key: RepositoryKey, tag: string): Promise<TagRecord | undefined> {
    const [row] = await this.#all(`${TAGS} AND tag = ?`, key.origin, key.name, tag);
    return row && toTag(row);
  }

  /** Lets a tag name a manifest that the repository has; also to say that it was found up to date. */
  async putTag(key: RepositoryKey, tag: string, digest: Digest): Promise<void> {
    const connection = await this.#metadata.writable();
    connection.transaction(() => connection.run(PUT_TAG, idOf(connection, key, this.#now()), tag, digest, this.#now()));
  }

  /** Tags in lexical order (by their bytes), those after `after`, at most `limit`; undefined when there is no such repository. */
  async tags(
    key: RepositoryKey,
    { after = "", limit = -1 }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<TagRecord[] | undefined> {
    const rows = await this.#all(`${TAGS} AND tag > ? ORDER BY tag LIMIT ?`, key.origin, key.name, after, limit);
    return rows.length > 0 || (await this.has(key)) ? rows.map(toTag) : undefined;
  }

  async referrers(key: RepositoryKey, subject: Digest): Promise<Descriptor[]> {
    const rows = await this.#all(REFERRERS, key.origin, key.name, subject);
    return rows.map(({ descriptor }) => JSON.parse(descriptor as string) as Descriptor);
  }

  /** How long a subject's list is, in characters of JSON. */
  async referrerBytes({ origin, name }: RepositoryKey, subject: Digest): Promise<number> {
    const sql = `SELECT SUM(LENGTH(descriptor)) AS bytes FROM repository_referrers WHERE ${IN} AND subject = ?`;
    return Number((await this.#all(sql, origin, name, subject))[0]?.["bytes"] ?? 0);
  }

  /** Puts a whole list in the place of what was known. */
  async setReferrers(key: RepositoryKey, subject: Digest, descriptors: readonly Descriptor[]): Promise<void> {
    const connection = await this.#metadata.writable();
    connection.transaction(() => {
      const id = idOf(connection, key, this.#now());
      connection.run("DELETE FROM repository_referrers WHERE repository = ? AND subject = ?", id, subject);
      for (const descriptor of descriptors) putReferrer(connection, id, subject, descriptor);
    });
  }

  /** With its tags, and its entry among the referrers of its subject. @returns whether there was one */
  async deleteManifest(key: RepositoryKey, digest: Digest): Promise<boolean> {
    const connection = await this.#metadata.writable();
    return connection.transaction(() => {
      if (connection.run(`${DELETE_CONTENT} 'manifest' AND digest = ?`, key.origin, key.name, digest) === 0)
        return false;
      forgetManifest(connection, key, digest);
      return true;
    });
  }

  /** @returns whether there was one */
  async deleteTag({ origin, name }: RepositoryKey, tag: string): Promise<boolean> {
    const connection = await this.#metadata.writable();
    return connection.run(`DELETE FROM repository_tags WHERE ${IN} AND tag = ?`, origin, name, tag) > 0;
  }

  /** @returns whether there was one */
  async deleteBlob({ origin, name }: RepositoryKey, digest: Digest): Promise<boolean> {
    const connection = await this.#metadata.writable();
    return connection.run(`${DELETE_CONTENT} 'blob' AND digest = ?`, origin, name, digest) > 0;
  }

  /** Takes a digest out of all repositories of this origin, for its bytes are not to be had. @returns how many rows went */
  async forget(origin: RepositoryOrigin, digest: Digest): Promise<number> {
    const connection = await this.#metadata.writable();
    return connection.transaction(() => {
      const keys = connection.all(`${ALL_CONTENT} WHERE origin = ? AND digest = ?`, origin, digest).map(toContent);
      for (const key of keys) {
        const { kind, name } = key;
        connection.run(`${DELETE_CONTENT} ? AND digest = ?`, origin, name, kind, digest);
        if (kind === "manifest") forgetManifest(connection, key, digest);
      }
      return keys.length;
    });
  }

  /**
   * Notes that content was asked for. Kept in memory and written a thousand at a time, or by {@link writeUses}: what a crash loses only makes
   * content look older than it is.
   */
  noteUse(key: RepositoryKey, digest: Digest): void {
    this.#uses.note(key, digest);
  }

  /** Writes the uses that were noted. Done by {@link evict} and when the store is closed. */
  async writeUses(): Promise<void> {
    await this.#uses.write();
  }

  /** Whether any repository has it: then it is not to be removed. */
  async needs(digest: Digest): Promise<boolean> {
    return (await this.#all("SELECT 1 FROM repository_contents WHERE digest = ? LIMIT 1", digest)).length > 0;
  }

  /** All that the repositories need, each once. A few hundred at a time: no query stays open while the caller works. */
  async *digests(): AsyncGenerator<Digest> {
    for (let after = ""; ;) {
      const page = "SELECT DISTINCT digest FROM repository_contents WHERE digest > ? ORDER BY digest LIMIT ?";
      const found = (await this.#all(page, after, PAGE)).map(({ digest }) => digest as Digest);
      yield* found;
      if (found.length < PAGE) return;
      after = found.at(-1)!;
    }
  }

  /** Everything that repositories have, whatever lies in the store. */
  async contents(): Promise<RepositoryContent[]> {
    return (await this.#all(`${ALL_CONTENT} ORDER BY origin, name, kind, digest`)).map(toContent);
  }

  async usage(origin?: RepositoryOrigin): Promise<RepositoryUsage> {
    const [row] = await this.#all(USAGE, origin ?? null, origin ?? null);
    return {
      repositories: Number(row?.["repositories"] ?? 0),
      blobs: Number(row?.["blobs"] ?? 0),
      bytes: Number(row?.["bytes"] ?? 0),
    };
  }

  /**
   * Lets go of what was not asked for the longest, until no more than `keepBytes` are left of this origin. The bytes of what it names stay
   * until they are removed: `Store.removeUnreferenced` does that.
   * @param options.spare what stays all the same. Default: nothing
   * @returns what no repository of this origin has any more
   */
  async evict(
    origin: RepositoryOrigin,
    keepBytes: number,
    { spare = () => false }: EvictOptions = {},
  ): Promise<Digest[]> {
    await this.writeUses();
    let { bytes } = await this.usage(origin);
    const gone: Digest[] = [];
    for (const row of bytes > keepBytes ? await this.#all(OLDEST, origin) : []) {
      if (bytes <= keepBytes) break;
      const digest = row["digest"] as Digest;
      if (spare(digest, new Date(row["last_used_at"] as number))) continue;
      if ((await this.forget(origin, digest)) === 0) continue;
      gone.push(digest);
      bytes -= row["size"] as number;
    }
    if (gone.length > 0) (await this.#metadata.writable()).run(DELETE_EMPTY, origin);
    return gone;
  }

  /** All that can be read, of a database that is damaged and to be replaced. */
  async salvage(): Promise<RepositoryRows> {
    const connection = await this.#metadata.readable().catch(() => undefined);
    return connection === undefined ? {} : (await import("./repository-rescue.ts")).readRows(connection);
  }

  /** Puts in what was salvaged. Its content need not be there: `fsck` sees to that. */
  async restore(rows: RepositoryRows): Promise<void> {
    const { writeRows } = await import("./repository-rescue.ts");
    writeRows(await this.#metadata.writable(), rows);
  }

  async #all(sql: string, ...values: (string | number | null)[]): Promise<Row[]> {
    return (await this.#metadata.readable())?.all(sql, ...values) ?? [];
  }
}
