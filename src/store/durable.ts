/** Making names and whole small files survive a power cut, off the main thread so that transfers go on meanwhile. */
import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";

/** A rename or a new file is durable only after its directory was synced. */
export async function syncNames(directory: string): Promise<void> {
  await using handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems have no sync of directories and say EINVAL; their renames are as durable as they ever get.
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
  }
}

export interface ReplaceOptions {
  /** The directory of both files, to be synced; nothing is synced without it. */
  readonly syncIn?: string;
  readonly mode: number;
}

/** Puts a whole file in the place of another: readers see the old bytes or the new ones. `temporary` is on the same file system. */
export async function replaceFile(
  path: string,
  temporary: string,
  bytes: string | Uint8Array,
  options: ReplaceOptions,
): Promise<void> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
  try {
    await using file = await open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, options.mode);
    await file.writeFile(bytes);
    if (options.syncIn !== undefined) await file.sync();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (options.syncIn !== undefined) await syncNames(options.syncIn);
}
