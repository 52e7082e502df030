/** What lies in `ingest/`, told apart: partial blobs, what dead processes left of ended ones, and what is none of ours. */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import type { Digest } from "../oci/digest.ts";
import { statBlob } from "./blob-file.ts";
import { trashedKey } from "./ingest-folder.ts";
import { digestOfKey, type StoreLayout } from "./layout.ts";
import type { StoreLocks } from "./locks.ts";

interface Found {
  readonly path: string;
  /** Disk space that it takes, in bytes; holes take none. */
  readonly diskBytes: number;
  /** When anything of it was last written, milliseconds since 1970. */
  readonly touchedAt: number;
}

/** `leftover`: trash, or a folder beside the whole blob that came out of it. */
export type Partial =
  | (Found & { readonly kind: "partial" | "leftover"; readonly digest: Digest })
  | (Found & { readonly kind: "unknown"; readonly digest?: undefined });

export async function* findPartials(layout: StoreLayout): AsyncGenerator<Partial> {
  for (const name of await namesIn(layout.ingests)) {
    const found = await measure(join(layout.ingests, name));
    if (found === undefined) continue;
    const trashed = trashedKey(name);
    const digest = digestOfKey(trashed ?? name);
    if (digest === undefined) yield { ...found, kind: "unknown" };
    else
      yield {
        ...found,
        digest,
        kind: trashed !== undefined || (await isWhole(layout, digest)) ? "leftover" : "partial",
      };
  }
}

/** Removes a leftover, unless someone is at work on its digest. @returns whether it is gone */
export async function removePartial(
  locks: StoreLocks,
  { digest, path }: Partial & { digest: Digest },
): Promise<boolean> {
  const lock = locks.tryDigest(digest);
  if (lock === undefined) return false;
  try {
    await rm(path, { recursive: true, force: true });
    return true;
  } catch (error) {
    throw toVarveError(error, `removing what is left of ${digest}`);
  } finally {
    lock.unlock({ remove: true });
  }
}

async function isWhole(layout: StoreLayout, digest: Digest): Promise<boolean> {
  return (await statBlob(layout.blob(digest), digest).catch(() => undefined)) !== undefined;
}

/** The folder itself and its two or three files. Undefined when it went away meanwhile. */
async function measure(path: string): Promise<Found | undefined> {
  const own = await stat(path).catch(() => undefined);
  if (own === undefined) return undefined;
  let diskBytes = 0;
  let touchedAt = own.mtimeMs;
  for (const name of own.isDirectory() ? await namesIn(path) : []) {
    const found = await stat(join(path, name)).catch(() => undefined);
    diskBytes += (found?.blocks ?? 0) * 512;
    touchedAt = Math.max(touchedAt, found?.mtimeMs ?? 0);
  }
  return { path, diskBytes, touchedAt };
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw toVarveError(error, "listing partial blobs");
  }
}
