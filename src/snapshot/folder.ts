/** Folders of snapshots, named by their ids; and how one goes, so that what is half gone is never taken for a whole one. */
import { lstat, readdir, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { removeTree } from "../sys/remove-tree.ts";

/** In front of the name of what is about to be removed. */
const GONE = ".gone-";

/** Moves a directory aside in one step, then removes it. A missing one is fine. @throws VarveError `IO`, `PERMISSION`, `PATH_INVALID` */
export async function removeFolder(path: string): Promise<void> {
  const gone = goneName(path);
  try {
    await removeTree(gone);
    await rename(path, gone).catch(unlessMissing);
    await removeTree(gone);
  } catch (error) {
    throw toVarveError(error, `removing ${path}`);
  }
}

/** Where {@link removeFolder} moves it before it removes it. */
export function goneName(path: string): string {
  return join(dirname(path), GONE + basename(path));
}

/** What {@link removeFolder} has left in the directory because it was cut off, as paths. */
export async function goneFolders(directory: string): Promise<string[]> {
  return (await namesIn(directory)).filter((name) => name.startsWith(GONE)).map((name) => join(directory, name));
}

/** Ids of the folders that there are, whoever they belong to. */
export async function folderIds(snapshots: string): Promise<number[]> {
  return (await namesIn(snapshots)).flatMap((name) => (/^[1-9]\d{0,14}$/.test(name) ? [Number(name)] : []));
}

export async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(unlessMissing)) !== undefined;
}

/** Empty when there is no such directory. */
export async function namesIn(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(unlessMissing)) ?? [];
}

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}
