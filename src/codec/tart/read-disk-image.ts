/** Tells whether a manifest is a virtual machine's, and whose, and reads what it says of its disks. */
import type { Manifest } from "../../oci/manifest.ts";
import type { DiskImage } from "./disk-image.ts";
import { LUME_TYPES, TART_TYPES, VETU_TYPES } from "./names.ts";
import { isEarlyLume, readLume } from "./read-lume.ts";
import { readTart } from "./read-tart.ts";
import { readVetu } from "./read-vetu.ts";

/**
 * Undefined when it is another kind of image.
 * @throws VarveError `MANIFEST_INVALID` when it contradicts itself, or lacks what is needed; `MEDIA_TYPE_UNSUPPORTED` when a layer may be a part
 * of a disk in a way that is not known
 */
export function readDiskImage(manifest: Manifest): DiskImage | undefined {
  const has = (...types: string[]): boolean => manifest.layers.some(({ mediaType }) => types.includes(mediaType));
  if (has(TART_TYPES.config, TART_TYPES.disk, TART_TYPES.diskV1)) return readTart(manifest);
  if (has(VETU_TYPES.config, VETU_TYPES.disk)) return readVetu(manifest);
  if (has(LUME_TYPES.disk) || manifest.config.mediaType === LUME_TYPES.config) return readLume(manifest);
  return isEarlyLume(manifest) ? readLume(manifest) : undefined;
}
