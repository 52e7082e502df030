/** What the store knows of an image, and how it stands in the database. */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Connection, Row } from "./connection.ts";

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
  /** When it was last put, or found up to date by a pull. */
  readonly updatedAt: Date;
}

const COLUMNS = "name, digest, media_type, size, manifest, config_digest, created_at, updated_at";
const UPSERT = `
  INSERT INTO images (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, media_type = excluded.media_type, size = excluded.size,
    manifest = excluded.manifest, config_digest = excluded.config_digest, updated_at = excluded.updated_at
  RETURNING ${COLUMNS}`;

export function selectImage(connection: Connection, name: string): ImageRecord | undefined {
  const row = connection.get(`SELECT ${COLUMNS} FROM images WHERE name = ?`, name);
  return row && toRecord(row);
}

/** By name. */
export function selectImages(connection: Connection): ImageRecord[] {
  return connection.all(`SELECT ${COLUMNS} FROM images ORDER BY name`).map(toRecord);
}

export function upsertImage(connection: Connection, entry: ImageEntry, now: number): ImageRecord {
  const { name, descriptor, manifest = descriptor, configDigest = null } = entry;
  const root = [descriptor.digest, descriptor.mediaType, descriptor.size];
  return toRecord(connection.get(UPSERT, name, ...root, JSON.stringify(manifest), configDigest, now, now)!);
}

/** The tag of a reference: what stands after the colon of its last part, before a digest. */
export function tagOf(name: string): string | undefined {
  return /^[^@]*:([^:/@]+)(?:@|$)/.exec(name)?.[1];
}

function toRecord(row: Row): ImageRecord {
  const configDigest = row["config_digest"] as Digest | null;
  return {
    name: row["name"] as string,
    descriptor: {
      mediaType: row["media_type"] as string,
      digest: row["digest"] as Digest,
      size: row["size"] as number,
    },
    manifest: JSON.parse(row["manifest"] as string) as Descriptor,
    ...(configDigest !== null && { configDigest }),
    createdAt: new Date(row["created_at"] as number),
    updatedAt: new Date(row["updated_at"] as number),
  };
}
