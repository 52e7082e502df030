/** Checks the image of a virtual machine: blobs that are kept as any image's, disks that are held as files, and blobs of chunks that need not be here. */
import { formatOf } from "../../codec/tart/format-of.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { blobsOf, disksOf, keptBlobs, type MachineDisk } from "../disks/machine-parts.ts";
import type { Check } from "./check.ts";
import { checkPart } from "./parts.ts";

/**
 * Its disks are only noted, for images share them.
 * @returns false when the manifest is none of a machine
 */
export async function checkMachine(check: Check, image: string, manifest: Manifest): Promise<boolean> {
  if (formatOf(manifest) === undefined) return false;
  const disks = machineDisks(check, image, manifest);
  for (const descriptor of keptBlobs(manifest, disks)) {
    await checkPart(check, image, { kind: "layer", descriptor, diffId: undefined });
  }
  for (const { key, disk } of disks) {
    if (!check.disks.has(key)) check.disks.set(key, { image, manifest, disk });
    for (const { digest } of blobsOf({ key, disk })) check.chunks.add(digest);
  }
  return true;
}

function machineDisks({ findings }: Check, image: string, manifest: Manifest): MachineDisk[] {
  try {
    const machine = readDiskImage(manifest);
    return machine === undefined ? [] : disksOf(machine);
  } catch (error) {
    if (!isVarveError(error)) throw error;
    const { digest } = manifest;
    findings.add("document-invalid", `${image}: ${error.message}`, { digest, image });
    findings.failedDigest(digest, "the image is broken");
    return [];
  }
}
