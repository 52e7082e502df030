/** What lies in one of the folders of disks, which are made when the first disk comes. */
import { readdir } from "node:fs/promises";
import { toVarveError } from "../../errors/from-system.ts";

export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw toVarveError(error, "listing the store's disks");
  }
}
