/** The raw file of an image's disk, for those who copy it: the store's, whole. */
import { formatBytes } from "../../errors/amounts.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { DiskInfo } from "../../store/disks/types.ts";
import type { TransferContext } from "../context.ts";
import type { OpenDisk, OpenDiskImage } from "./open-disk-image.ts";

/** @throws VarveError `BLOB_UNKNOWN` when the store does not hold it, `STORE_CORRUPT` when it is not as long as the image says */
export async function diskFile(
  _context: TransferContext,
  { record }: OpenDiskImage,
  { disk, held }: OpenDisk,
): Promise<DiskInfo> {
  if (held === undefined) {
    throw new VarveError("BLOB_UNKNOWN", `the store does not hold ${disk.name} of ${record.name}`, {
      hint: `get it with: varve pull ${record.name}`,
    });
  }
  if (disk.kind === "chunks" && held.size !== disk.size) {
    const message = `${held.path} has ${formatBytes(held.size)}, and ${disk.name} of ${record.name} has ${formatBytes(disk.size)}`;
    throw new VarveError("STORE_CORRUPT", message, { hint: "run: varve fsck --repair" });
  }
  return held;
}
