/** Tells whether a manifest is a virtual machine's, and whose, and reads what it says of its disks. */
import type { Manifest } from "../../oci/manifest.ts";
import type { DiskImage } from "./disk-image.ts";
import { formatOf } from "./format-of.ts";
import { readLume } from "./read-lume.ts";
import { readTart } from "./read-tart.ts";
import { readVetu } from "./read-vetu.ts";

const READERS = { tart: readTart, vetu: readVetu, lume: readLume } as const;

/**
 * Undefined when it is another kind of image.
 * @throws VarveError `MANIFEST_INVALID` when it contradicts itself, or lacks what is needed; `MEDIA_TYPE_UNSUPPORTED` when a layer may be a part
 * of a disk in a way that is not known
 */
export function readDiskImage(manifest: Manifest): DiskImage | undefined {
  const format = formatOf(manifest);
  return format && READERS[format](manifest);
}
