/**
 * A directory with its parents, as `mkdir -p` makes it. Not Node's recursive mkdir: that one says ENOENT where a file system is
 * read-only, and tries for ever where a parent is there and takes no entries (`/proc/x`).
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * @param mode of every directory that is made. Default 0o777 less the umask
 * @returns the topmost directory that was made; undefined when the whole path was there
 * @throws NodeJS.ErrnoException `EEXIST` or `ENOTDIR` when something else is in the way
 */
export async function makeDirectory(
  path: string,
  { mode = 0o777 }: { readonly mode?: number } = {},
): Promise<string | undefined> {
  const made = await tryMake(path, mode);
  if (made !== "no parent") return made ? path : undefined;
  const parent = dirname(path);
  const top = parent === path ? undefined : await makeDirectory(parent, { mode });
  const again = await tryMake(path, mode);
  if (again === "no parent") throw noEntry(path);
  return top ?? (again ? path : undefined);
}

/** @returns whether it was made, rather than there already */
async function tryMake(path: string, mode: number): Promise<boolean | "no parent"> {
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "no parent";
    if (await isDirectory(path)) return false;
    throw error;
  }
}

/** What is there already is no failure, whatever mkdir said: on a read-only file system it says EROFS first. */
async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

function noEntry(path: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`ENOENT: no such file or directory, mkdir '${path}'`);
  return Object.assign(error, { code: "ENOENT", syscall: "mkdir", path });
}
