/** What an image reaches, and the removal of content that was just taken out: only what nobody else needs goes (see needed.ts). */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { ContentStore } from "./content.ts";
import type { Metadata } from "./database.ts";
import type { LayerRecords } from "./layer-records.ts";
import { findDocument, partsOf } from "./mark.ts";
import { Needed, type NeededContext } from "./needed.ts";

/** Indexes within indexes; real images nest one deep. */
const MAX_DEPTH = 8;

export interface RemovalContext extends NeededContext {
  readonly layers: LayerRecords;
  readonly metadata: Metadata;
}

export interface Removal {
  readonly deleted: readonly Digest[];
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

/** Removes those of `candidates` that nobody needs, and what is recorded of them. @throws VarveError `STORE_READ_ONLY` */
export async function removeUnreferenced(context: RemovalContext, candidates: Iterable<Digest>): Promise<Removal> {
  const { content, layers, metadata } = context;
  await metadata.writable();
  const needed = await Needed.find(context);
  const deleted: Digest[] = [];
  let freedBytes = 0;
  for (const digest of new Set(candidates)) {
    if (needed.wasNeeded(digest)) continue;
    const info = await content.stat(digest);
    if (info === undefined) {
      // A layer's blob that was given up because the layer is held unpacked.
      if (!(await needed.isNeeded(digest))) await layers.delete(digest);
      continue;
    }
    if (!(await content.remove(digest, { unless: () => needed.isNeeded(digest) }))) continue;
    await layers.delete(digest);
    deleted.push(digest);
    freedBytes += info.size;
  }
  return { deleted, freedBytes };
}
