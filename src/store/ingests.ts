/** The partial blobs of a store as a whole: what there is, what may go, and what dead processes left half-done. */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import type { Digest } from "../oci/digest.ts";
import { statBlob } from "./blob-file.ts";
import { IngestFolder, trashedKey } from "./ingest-folder.ts";
import { Journal } from "./journal.ts";
import { digestOfKey, type StoreLayout } from "./layout.ts";
import type { StoreLocks } from "./locks.ts";
import { RangeSet } from "./range-set.ts";
import type { ByteRange } from "./types.ts";

export interface IngestInfo {
  readonly digest: Digest;
  /** Disk space that it takes, in bytes; holes take none. */
  readonly diskBytes: number;
  /** When data was last written. */
  readonly updatedAt: Date;
}

/** All partial blobs, also those that are being worked on, in no order. */
export async function* listIngests(layout: StoreLayout): AsyncGenerator<IngestInfo> {
  for (const key of await keysIn(layout)) {
    const digest = digestOfKey(key);
    if (digest === undefined) continue;
    const found = await stat(new IngestFolder(layout, digest).data).catch(() => undefined);
    if (found !== undefined) yield { digest, diskBytes: found.blocks * 512, updatedAt: found.mtime };
  }
}

/** What the journal of a partial blob claims. Not checked, and perhaps old: for plans, not for work. */
export async function claimedRanges(layout: StoreLayout, digest: Digest): Promise<ByteRange[]> {
  try {
    const journal = await Journal.read(new IngestFolder(layout, digest).journal);
    return journal?.header.digest === digest ? new RangeSet(journal.pieces).toArray() : [];
  } catch (error) {
    throw toVarveError(error, `reading the progress of ${digest}`);
  }
}

/** What is in the file of a partial blob: what its journal claims, or what the disk has given it when that is more. */
export async function arrivedBytes(layout: StoreLayout, digest: Digest): Promise<number> {
  const claimed = new RangeSet(await claimedRanges(layout, digest)).bytes;
  return Math.max(claimed, await allocatedBytes(layout, digest));
}

/** Disk space of a partial blob's file, in bytes: holes take none. */
export async function allocatedBytes(layout: StoreLayout, digest: Digest): Promise<number> {
  const found = await stat(new IngestFolder(layout, digest).data).catch(() => undefined);
  return (found?.blocks ?? 0) * 512;
}

/** Removes what processes left that died while they ended an ingest (see ingest-folder.ts). What is locked is in good hands. */
export async function sweepIngests(layout: StoreLayout, locks: StoreLocks): Promise<void> {
  for (const name of await keysIn(layout)) {
    const trashed = trashedKey(name);
    const digest = digestOfKey(trashed ?? name);
    if (digest === undefined) continue;
    if (trashed === undefined && (await statBlob(layout.blob(digest), digest)) === undefined) continue;
    const lock = locks.tryDigest(digest);
    try {
      if (lock !== undefined) await rm(join(layout.ingests, name), { recursive: true, force: true });
    } finally {
      lock?.unlock({ remove: true });
    }
  }
}

async function keysIn(layout: StoreLayout): Promise<string[]> {
  try {
    return await readdir(layout.ingests);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw toVarveError(error, "listing partial blobs");
  }
}
