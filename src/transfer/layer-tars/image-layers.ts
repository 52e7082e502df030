/**
 * Which blobs hold a layer, found by following manifests to their configs (OCI image-spec "config.md", `rootfs.diff_ids`): for places that keep no
 * record of it, as image layouts do not, and for images that were copied without being unpacked. What is found is what an image says; whoever reads
 * the blob computes its DiffID.
 */
import { isVarveError } from "../../errors/varve-error.ts";
import { parseImageConfig } from "../../oci/config.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, type Manifest } from "../../oci/manifest.ts";
import type { ContentStore } from "../../store/content.ts";
import { findDocument } from "../../store/mark.ts";

/** Indexes within indexes; real images nest one deep. */
const MAX_DEPTH = 8;
/** Pairs that are remembered: an index may name so many images that memory would not do for them. */
const MAX_PAIRS = 1 << 18;
/** Of one layer: there are not that many compressions. */
const MAX_FORMS = 16;
/** Documents that are looked at, as a manifest that names itself a thousand times is still one. */
const MAX_DOCUMENTS = 1 << 18;

/** DiffIDs, and the digests of the blobs that have them according to the images below `roots`. Documents that lack or are damaged lead nowhere. */
export async function imageLayers(
  content: ContentStore,
  roots: Iterable<Descriptor>,
  signal: AbortSignal,
): Promise<Map<Digest, readonly Digest[]>> {
  const found = new Map<Digest, Digest[]>();
  const seen = new Set<Digest>();
  let pairs = 0;
  let level = [...roots];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const next: Descriptor[] = [];
    for (const descriptor of level) {
      signal.throwIfAborted();
      if (seen.has(descriptor.digest) || seen.size >= MAX_DOCUMENTS) continue;
      seen.add(descriptor.digest);
      const document = await findDocument(content, descriptor);
      if (typeof document === "string") continue;
      if (document.kind === "index") {
        for (const each of document.manifests) if (next.length < MAX_DOCUMENTS) next.push(each);
        continue;
      }
      const diffIds = await diffIdsOf(content, document);
      if (diffIds.length !== document.layers.length) continue;
      for (const [at, diffId] of diffIds.entries()) {
        const digest = document.layers[at]?.digest;
        const known = found.get(diffId) ?? [];
        if (digest === undefined || known.length >= MAX_FORMS || known.includes(digest) || pairs >= MAX_PAIRS) continue;
        known.push(digest);
        found.set(diffId, known);
        pairs++;
      }
    }
    level = next;
  }
  return found;
}

async function diffIdsOf(content: ContentStore, { config }: Manifest): Promise<readonly Digest[]> {
  try {
    const bytes = await content.readBytes(config.digest, MAX_DOCUMENT_BYTES);
    return parseImageConfig(bytes, { expected: { digest: config.digest } }).rootfs.diffIds;
  } catch (error) {
    // Configs of artifacts are no images' configs.
    if (isVarveError(error)) return [];
    throw error;
  }
}
