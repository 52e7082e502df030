/** How repositories stand in the database: statements over the tables of `migrations.ts`, and what their rows say. */
import type { Descriptor } from "../oci/descriptor.ts";
import { isDigest, type Digest } from "../oci/digest.ts";
import type { Connection, Row } from "./connection.ts";
import type { BlobRecord, RepositoryContent, RepositoryKey, RepositoryOrigin, TagRecord } from "./repository-types.ts";

/** The repository's row, made when there is none. */
export function idOf(connection: Connection, { origin, name }: RepositoryKey, now: number): number {
  const find = (): Row | undefined =>
    connection.get("SELECT id FROM repositories WHERE origin = ? AND name = ?", origin, name);
  const found = find();
  if (found !== undefined) return found["id"] as number;
  connection.run("INSERT INTO repositories (origin, name, created_at) VALUES (?, ?, ?)", origin, name, now);
  return find()!["id"] as number;
}

export function nowIs(connection: Connection, { origin, name }: RepositoryKey, reference: string): Digest | undefined {
  const sql = isDigest(reference)
    ? `SELECT digest FROM repository_contents WHERE ${IN} AND kind = 'manifest' AND digest = ?`
    : `SELECT digest FROM repository_tags WHERE ${IN} AND tag = ?`;
  return connection.get(sql, origin, name, reference)?.["digest"] as Digest | undefined;
}

export function putReferrer(connection: Connection, id: number, subject: Digest, descriptor: Descriptor): void {
  connection.run(
    "INSERT OR REPLACE INTO repository_referrers VALUES (?, ?, ?, ?)",
    id,
    subject,
    descriptor.digest,
    JSON.stringify(descriptor),
  );
}

export function forgetManifest(connection: Connection, { origin, name }: RepositoryKey, digest: Digest): void {
  connection.run(`DELETE FROM repository_tags WHERE ${IN} AND digest = ?`, origin, name, digest);
  connection.run(`DELETE FROM repository_referrers WHERE ${IN} AND digest = ?`, origin, name, digest);
}

/** For GLOB, which reads a bracket as the begin of a choice. */
export function globbed(text: string): string {
  return text.replaceAll("[", "[[]");
}

export function toBlob(row: Row): BlobRecord {
  return {
    digest: row["digest"] as Digest,
    size: row["size"] as number,
    lastUsedAt: new Date(row["last_used_at"] as number),
  };
}

export function toTag(row: Row): TagRecord {
  return {
    tag: row["tag"] as string,
    digest: row["digest"] as Digest,
    updatedAt: new Date(row["updated_at"] as number),
  };
}

export function toContent(row: Row): RepositoryContent {
  return {
    origin: row["origin"] as RepositoryOrigin,
    name: row["name"] as string,
    kind: row["kind"] as "blob" | "manifest",
    digest: row["digest"] as Digest,
    size: row["size"] as number,
  };
}

export const IN = "repository = (SELECT id FROM repositories WHERE origin = ? AND name = ?)";
export const CONTENT = `SELECT digest, size, media_type, last_used_at FROM repository_contents WHERE ${IN}`;
export const ANY_CONTENT = `
  SELECT digest, size, last_used_at FROM repository_contents
  WHERE repository IN (SELECT id FROM repositories WHERE origin = ?)`;
export const ALL_CONTENT = `
  SELECT origin, name, kind, digest, size FROM repository_contents
  JOIN repositories ON repositories.id = repository_contents.repository`;
export const PUT_CONTENT = `
  INSERT INTO repository_contents (repository, kind, digest, size, media_type, last_used_at) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET size = excluded.size, media_type = excluded.media_type, last_used_at = excluded.last_used_at`;
export const DELETE_CONTENT = `DELETE FROM repository_contents WHERE ${IN} AND kind =`;
export const TAGS = `SELECT tag, digest, updated_at FROM repository_tags WHERE ${IN}`;
export const PUT_TAG =
  "INSERT OR REPLACE INTO repository_tags (repository, tag, digest, updated_at) VALUES (?, ?, ?, ?)";
export const REFERRERS = `SELECT descriptor FROM repository_referrers WHERE ${IN} AND subject = ? ORDER BY digest`;
/** A digest counts once, however many repositories have it and as whatever. */
export const USAGE = `
  WITH own AS (SELECT id FROM repositories WHERE ? IS NULL OR origin = ?)
  SELECT (SELECT COUNT(*) FROM own) AS repositories, COUNT(*) AS blobs, COALESCE(SUM(size), 0) AS bytes FROM
    (SELECT digest, MAX(size) AS size FROM repository_contents WHERE repository IN own GROUP BY digest)`;
export const OLDEST = `
  SELECT digest, MAX(size) AS size, MAX(last_used_at) AS last_used_at FROM repository_contents
  WHERE repository IN (SELECT id FROM repositories WHERE origin = ?)
  GROUP BY digest ORDER BY MAX(last_used_at), digest`;
export const DELETE_EMPTY = `
  DELETE FROM repositories WHERE origin = ? AND id NOT IN (SELECT repository FROM repository_contents)`;
