/** The two images that a delta is made between: their documents and the tars of their layers, none of which anybody can clean up meanwhile. */
import { BASE_LABEL } from "../../oci/delta-names.ts";
import type { DeltaBase, DeltaTarget } from "../../delta/image/documents.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import { chainIds } from "../../oci/chain-id.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { Platform } from "../../oci/platform.ts";
import type { TransferContext } from "../context.ts";
import { openManifest, readImageConfig } from "../open-image.ts";
import { isHeldName, openSource } from "../open-place.ts";
import { StoreSource } from "../transports/store.ts";
import type { LayerTars } from "./types.ts";

export interface Side extends DeltaBase, DeltaTarget {
  /** As it was given, and as the store has it in full. */
  readonly name: string;
  readonly storeName: string;
  readonly diffIds: readonly Digest[];
  readonly manifest: Manifest;
}

export interface Pair {
  readonly base: Side;
  readonly target: Side;
}

export function describe({ mediaType, digest, bytes }: Manifest): Descriptor {
  return { mediaType, digest, size: bytes.length };
}

/**
 * Opens an image of the store; it is leased until `held` ends.
 * @throws VarveError `USAGE` for images that are not in the store, and those that are deltas themselves; `IMAGE_NOT_FOUND`, `CONFIG_INVALID` ...
 */
export async function openSide(
  context: TransferContext,
  name: string,
  platform: Platform | undefined,
  held: AsyncDisposableStack,
): Promise<Side> {
  if (!isHeldName(name)) {
    const how = name.startsWith("docker://")
      ? `varve pull ${name.slice("docker://".length)}`
      : `varve copy ${name} NAME`;
    throw new VarveError("USAGE", `a delta is made between images of the store, and ${name} is none`, {
      hint: `get it first: ${how}`,
    });
  }
  const source = held.use(await openSource(context, name));
  const { manifest } = await openManifest(source, name, platform);
  const config = await readImageConfig(source, manifest, name, context.signal);
  if (config.config.Labels?.[BASE_LABEL] !== undefined) {
    throw new VarveError("USAGE", `${name} is a delta itself`, {
      hint: "name the images that it is between; varve delta compose makes one delta of two",
    });
  }
  const lease = held.use(await context.store.leases.create());
  await lease.add(manifest.digest, manifest.config.digest, ...manifest.layers.map(({ digest }) => digest));
  const { diffIds } = config.rootfs;
  const storeName = source instanceof StoreSource ? source.name : name;
  return { name, storeName, imageId: manifest.config.digest, configBytes: config.bytes, diffIds, manifest };
}

/** Opens the tar of a layer. @throws VarveError `DELTA_BASE_MISSING` with the way to get it; `NO_SPACE`, `IO` */
export async function openTar(
  { signal }: TransferContext,
  tars: LayerTars,
  { name }: Side,
  diffId: Digest,
): Promise<SeekableTar> {
  try {
    return await tars.open(diffId, signal);
  } catch (error) {
    if (!isVarveError(error, "DELTA_BASE_MISSING")) throw error;
    throw new VarveError("DELTA_BASE_MISSING", `layer ${diffId} of ${name} is not here any more`, {
      hint: `get it again: varve pull ${name}`,
      detail: { diffId },
      cause: error,
    });
  }
}

/** How many layers, from the bottom up, the images have in common (formats "balena-delta" §2): at the same places, on the same layers. */
export function countCommon(base: Side, target: Side): number {
  const [below, above] = [chainIds(base.diffIds), chainIds(target.diffIds)];
  const differs = above.findIndex((chainId, index) => chainId !== below[index]);
  return differs === -1 ? above.length : differs;
}
