/**
 * What may be removed: content that neither an image, nor an entry that another tool made in index.json, nor a lease, nor a
 * process at work needs.
 *
 * Nothing that a pull relies on can fall through: it leases its digests before it looks for them and releases the lease
 * after its image is recorded, and recording waits while someone decides here. So its content is leased or reachable.
 */
import { isVarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest } from "../oci/manifest.ts";
import { isIndexType, isManifestType } from "../oci/media-types.ts";
import type { ContentStore } from "./content.ts";
import type { Metadata } from "./database.ts";
import { foreignDescriptors } from "./image-index.ts";
import type { ImageStore } from "./images.ts";
import type { LayerRecords } from "./layer-records.ts";
import type { StoreLayout } from "./layout.ts";
import type { StoreLocks } from "./locks.ts";

/** Indexes within indexes; real images nest one deep. */
const MAX_DEPTH = 8;

export interface RemovalContext {
  readonly layout: StoreLayout;
  readonly locks: StoreLocks;
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly layers: LayerRecords;
  readonly metadata: Metadata;
}

export interface Removal {
  readonly deleted: readonly Digest[];
  readonly freedBytes: number;
}

/**
 * The roots and all that they refer to, whether the store has it or not: manifests, configs, layers. Documents that the store
 * lacks or that are damaged lead nowhere. A manifest's `subject` is no need and is not followed.
 */
export async function reachable(content: ContentStore, roots: Iterable<Descriptor>): Promise<Map<Digest, Descriptor>> {
  const found = new Map<Digest, Descriptor>();
  let level = [...roots];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const next: Descriptor[] = [];
    for (const descriptor of level) {
      if (found.has(descriptor.digest)) continue;
      found.set(descriptor.digest, descriptor);
      next.push(...(await children(content, descriptor)));
    }
    level = next;
  }
  return found;
}

/** Removes those of `candidates` that nobody needs, and what is recorded of them. @throws VarveError `STORE_READ_ONLY` */
export async function removeUnreferenced(context: RemovalContext, candidates: Iterable<Digest>): Promise<Removal> {
  const { content, images, layers, layout, locks, metadata } = context;
  await metadata.writable();
  using _lock = await locks.named("content");
  const roots = (await images.list()).flatMap((image) => [image.descriptor, image.manifest]);
  const needed = await reachable(content, [...roots, ...(await foreignDescriptors(layout))]);
  const deleted: Digest[] = [];
  let freedBytes = 0;
  for (const digest of new Set(candidates)) {
    if (needed.has(digest)) continue;
    const info = await content.stat(digest);
    if (info === undefined || !(await content.remove(digest))) continue;
    await layers.delete(digest);
    deleted.push(digest);
    freedBytes += info.size;
  }
  return { deleted, freedBytes };
}

async function children(content: ContentStore, descriptor: Descriptor): Promise<readonly Descriptor[]> {
  const { digest, mediaType } = descriptor;
  if (!isIndexType(mediaType) && !isManifestType(mediaType)) return [];
  try {
    const bytes = await content.readBytes(digest, MAX_DOCUMENT_BYTES);
    const document = parseManifest(bytes, { contentType: mediaType, expected: { digest } });
    return document.kind === "index" ? document.manifests : [document.config, ...document.layers];
  } catch (error) {
    if (isVarveError(error) && LEAF.has(error.code)) return [];
    throw error;
  }
}

const LEAF: ReadonlySet<string> = new Set([
  "BLOB_UNKNOWN",
  "DIGEST_MISMATCH",
  "SIZE_MISMATCH",
  "STORE_CORRUPT",
  "MANIFEST_INVALID",
  "MANIFEST_TOO_LARGE",
  "MANIFEST_UNSUPPORTED",
]);
