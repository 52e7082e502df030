/** The raw file of an image's disk, for those who copy it: the store's, which is made first where only the disk's blobs are here. */
import { formatBytes } from "../../errors/amounts.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { DiskInfo } from "../../store/disks/types.ts";
import type { TransferContext } from "../context.ts";
import { holdsBlobs } from "./disk-summary.ts";
import type { ImageDisk, OpenDiskImage } from "./open-disk-image.ts";

/**
 * @throws VarveError `BLOB_UNKNOWN` when the store holds neither it nor all its blobs, `STORE_CORRUPT` when it is not as long as the image says;
 * making it fails as a pull does
 */
export async function diskFile(
  context: TransferContext,
  opened: OpenDiskImage,
  { disk, key, held }: ImageDisk,
): Promise<DiskInfo> {
  const { name } = opened.record;
  const file = held ?? (await madeOfBlobs(context, opened, { disk, key, held }));
  if (file === undefined) {
    throw new VarveError("BLOB_UNKNOWN", `the store does not hold ${disk.name} of ${name}`, {
      hint: `get it with: varve pull ${name}`,
    });
  }
  if (disk.kind === "chunks" && file.size !== disk.size) {
    const message = `${file.path} has ${formatBytes(file.size)}, and ${disk.name} of ${name} has ${formatBytes(disk.size)}`;
    throw new VarveError("STORE_CORRUPT", message, { hint: "run: varve fsck --repair" });
  }
  return file;
}

async function madeOfBlobs(
  context: TransferContext,
  { record, manifest }: OpenDiskImage,
  { disk, key }: ImageDisk,
): Promise<DiskInfo | undefined> {
  if (!(await holdsBlobs(context.store, disk))) return undefined;
  const { makeDisk } = await import("./make-disk.ts");
  await makeDisk(context, { name: record.name, manifest }, { disk, key });
  return context.store.disks.stat(key);
}
