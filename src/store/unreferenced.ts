/** What an image reaches, and the removal of content that was just taken out: only what nobody else needs goes (see needed.ts). */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../oci/manifest.ts";
import type { ContentStore } from "./content.ts";
import type { Metadata } from "./database.ts";
import type { LayerRecords } from "./layer-records.ts";
import type { DiskStore } from "./disks/disk-store.ts";
import { disksOf, findDocument, partsOf } from "./mark.ts";
import { Needed, type NeededContext } from "./needed.ts";
import type { ContentInfo } from "./types.ts";

/** Indexes within indexes; real images nest one deep. */
const MAX_DEPTH = 8;

export interface RemovalContext extends NeededContext {
  readonly disks: DiskStore;
  readonly layers: LayerRecords;
  readonly metadata: Metadata;
}

export interface Removal {
  /** Blobs. */
  readonly deleted: readonly Digest[];
  /** The keys of disks of machines that went with their manifests. */
  readonly disks: readonly Digest[];
  readonly freedBytes: number;
}

/**
 * The roots and all that they refer to, whether the store has it or not: manifests, configs, layers. Documents that the store
 * lacks or that are damaged lead nowhere.
 */
export async function reachable(content: ContentStore, roots: Iterable<Descriptor>): Promise<Map<Digest, Descriptor>> {
  const found = new Map<Digest, Descriptor>();
  let level = [...roots];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const next: Descriptor[] = [];
    for (const descriptor of level) {
      if (found.has(descriptor.digest)) continue;
      found.set(descriptor.digest, descriptor);
      const document = await findDocument(content, descriptor);
      if (typeof document !== "string") next.push(...partsOf(document));
    }
    level = next;
  }
  return found;
}

/** The keys of the disks that the images need. */
export async function reachableDisks(content: ContentStore, roots: Iterable<Descriptor>): Promise<Set<Digest>> {
  const keys = new Set<Digest>();
  for (const descriptor of (await reachable(content, roots)).values()) {
    const document = await findDocument(content, descriptor);
    if (typeof document !== "string") for (const key of (await disksOf(document)) ?? []) keys.add(key);
  }
  return keys;
}

/**
 * Removes those of `candidates` that nobody needs, what is recorded of them, and the disks of those that are manifests of machines.
 * @throws VarveError `STORE_READ_ONLY`
 */
export async function removeUnreferenced(context: RemovalContext, candidates: Iterable<Digest>): Promise<Removal> {
  const { content, layers, metadata } = context;
  await metadata.writable();
  const needed = await Needed.find(context);
  const deleted: Digest[] = [];
  const keys = new Set<Digest>();
  let freedBytes = 0;
  for (const digest of new Set(candidates)) {
    if (needed.wasNeeded(digest)) continue;
    const info = await content.stat(digest);
    if (info === undefined) {
      // A layer's blob that was given up because the layer is held unpacked.
      if (!(await needed.isNeeded(digest))) await layers.delete(digest);
      continue;
    }
    const itsDisks = await disksOfBlob(content, info);
    if (!(await content.remove(digest, { unless: () => needed.isNeeded(digest) }))) continue;
    await layers.delete(digest);
    deleted.push(digest);
    freedBytes += info.size;
    for (const key of itsDisks) keys.add(key);
  }
  const disks = await removeDisks(context, needed, keys);
  return {
    deleted,
    disks: disks.map(({ key }) => key),
    freedBytes: disks.reduce((sum, { bytes }) => sum + bytes, freedBytes),
  };
}

const BRACE = "{".charCodeAt(0);

/** Of a blob of which only the digest is known: most are layers, and are told by their size or their first byte. */
async function disksOfBlob(content: ContentStore, { digest, size }: ContentInfo): Promise<Digest[]> {
  if (size === 0 || size > MAX_DOCUMENT_BYTES) return [];
  for await (const [first] of content.read(digest, { end: 1 })) if (first !== BRACE) return [];
  const document = await findDocument(content, { digest });
  return typeof document === "string" ? [] : ((await disksOf(document)) ?? []);
}

async function removeDisks(
  { disks }: RemovalContext,
  needed: Needed,
  keys: Iterable<Digest>,
): Promise<{ key: Digest; bytes: number }[]> {
  const removed: { key: Digest; bytes: number }[] = [];
  for (const key of keys) {
    const info = await disks.stat(key);
    const unless = (): Promise<boolean> => needed.isDiskNeeded(key);
    if (info === undefined || needed.wasDiskNeeded(key) || !(await disks.remove(key, { unless }))) continue;
    removed.push({ key, bytes: info.allocatedBytes });
  }
  return removed;
}
