/** Which contents of disks need not come over the network: those that lie in other disks of the store, and those whose blobs it has. */
import type { Digest } from "../../oci/digest.ts";
import type { DiskContents } from "../../plan/disk-contents.ts";
import type { HeldPieces } from "../../plan/piece-segments.ts";
import type { Lease } from "../../store/leases.ts";
import type { LocalPlace } from "../../store/local-sources/types.ts";
import type { Store } from "../../store/store.ts";

export interface HeldContents extends HeldPieces {
  /** Whether a content's blob is here, and wanted. */
  readonly hasBlob: (blob: Digest) => boolean;
}

/** @param lease what protects the disks that are named. Default: nothing does, for plans */
export async function heldContents(store: Store, contents: DiskContents, lease?: Lease): Promise<HeldContents> {
  const places = new Map<number, LocalPlace & { readonly key: Digest }>();
  const blobs = new Set<Digest>();
  const wanted = Array.from({ length: contents.length }, (_, piece) => contents.digest(piece));
  const known = await store.disks.findContents(wanted);
  for (let piece = 0; piece < contents.length; piece++) {
    const { digest, size, blob } = contents.chunk(piece);
    const found = known.get(digest)?.find((place) => place.size === size);
    if (found !== undefined) places.set(piece, { key: found.key, path: found.path, start: found.offset });
    else if ((await store.content.stat(blob.digest))?.size === blob.size) blobs.add(blob.digest);
  }
  if (lease !== undefined && places.size > 0) await keep(store, places, lease);
  return { get: (piece) => places.get(piece), hasBlob: (blob) => blobs.has(blob) };
}

/** What is leased stays, unless it went before: then it is no source. */
async function keep(store: Store, places: Map<number, { readonly key: Digest }>, lease: Lease): Promise<void> {
  const keys = new Set([...places.values()].map(({ key }) => key));
  await lease.add(...keys);
  for (const key of keys) {
    const found = await store.disks.stat(key);
    if (found !== undefined && (await store.disks.holds(found))) keys.delete(key);
  }
  for (const [piece, { key }] of places) if (keys.has(key)) places.delete(piece);
}
