/** The store's file of a disk, if there is one. */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { digestAlgorithm, digestHex, type Digest } from "../../oci/digest.ts";
import type { DiskInfo } from "../../store/disks/types.ts";
import type { Store } from "../../store/store.ts";

export async function heldDisk({ root }: Store, key: Digest): Promise<DiskInfo | undefined> {
  const path = join(root, "disks", digestAlgorithm(key), digestHex(key));
  const found = await lstat(path).catch(() => undefined);
  return found?.isFile() === true ? { key, path, size: found.size, allocatedBytes: found.blocks * 512 } : undefined;
}
