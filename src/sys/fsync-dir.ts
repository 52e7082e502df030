/** Makes the names in a directory durable: a rename or a new file survives a power cut only after its directory was synced. */
import { closeSync, constants, fsyncSync, openSync } from "node:fs";

/** @throws NodeJS.ErrnoException when the directory cannot be opened or written out */
export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } catch (error) {
    // Some file systems have no sync of directories and say EINVAL; their renames are as durable as they ever get.
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
  } finally {
    closeSync(fd);
  }
}
