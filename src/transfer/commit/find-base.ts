/** Which image a snapshot was made from, and which of the snapshots it stands on are not that image's. */
import { VarveError } from "../../errors/varve-error.ts";
import { chainIds } from "../../oci/chain-id.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import type { ImageRecord } from "../../store/images.ts";
import type { SnapshotEntry } from "../../store/snapshot-records.ts";
import type { TransferContext } from "../context.ts";
import { findImage } from "../find-image.ts";
import { openManifest, readImageConfig } from "../open-image.ts";
import { IMAGE_LABEL } from "../snapshot-labels.ts";
import { StoreSource } from "../transports/store.ts";

export interface Base {
  /** Name of an image of the store that ends in just the layers that the snapshots stand on; undefined for nothing. */
  readonly image: string | undefined;
  /** Those that are to become layers of their own, from the bottom; the active one is the last. */
  readonly above: readonly SnapshotEntry[];
}

/**
 * The image that the label names, when its layers are those below; else any that has just these layers, the first by name. Snapshots that
 * somebody has committed under names of their own become layers above it.
 *
 * @param chain the active snapshot and its ancestors, the nearest first
 * @throws VarveError `IMAGE_NOT_FOUND` when a layer of an image is below that no image of the store ends in
 */
export async function findBase(context: TransferContext, chain: readonly SnapshotEntry[]): Promise<Base> {
  const [active, ...ancestors] = chain;
  if (ancestors.length === 0) return { image: undefined, above: chain };
  const images = await imagesByTop(context, active?.labels[IMAGE_LABEL]);
  const above: SnapshotEntry[] = active === undefined ? [] : [active];
  for (const ancestor of ancestors) {
    const image = images.get(ancestor.key);
    if (image !== undefined) return { image, above: above.toReversed() };
    if (isDigest(ancestor.key)) throw noBase(active?.key ?? "", ancestor.key);
    above.push(ancestor);
  }
  return { image: undefined, above: above.toReversed() };
}

/** Names of images by the ChainID of all their layers. */
async function imagesByTop(context: TransferContext, label: string | undefined): Promise<Map<string, string>> {
  const { store } = context;
  const labelled = label === undefined ? undefined : await findImage(store, label).catch(() => undefined);
  const found = new Map<string, string>();
  for (const record of [...(labelled === undefined ? [] : [labelled]), ...(await store.images.list())]) {
    const top = await topOf(context, record);
    if (top !== undefined && !found.has(top)) found.set(top, record.name);
  }
  return found;
}

/** Undefined for images without layers, and for what is damaged or no image: it is no base either way. */
async function topOf({ store, signal }: TransferContext, record: ImageRecord): Promise<Digest | undefined> {
  try {
    const source = new StoreSource(store, record);
    const { manifest } = await openManifest(source, record.name, undefined);
    const { rootfs } = await readImageConfig(source, manifest, record.name, signal);
    return chainIds(rootfs.diffIds).at(-1);
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

function noBase(key: string, chainId: string): VarveError {
  return new VarveError(
    "IMAGE_NOT_FOUND",
    `the store has no image any more that the snapshot ${key} was made from: none ends in ${chainId}`,
    { hint: "pull the image again", detail: { chainId } },
  );
}
