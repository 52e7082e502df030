/**
 * Reads a small file of a tree that an image made, with the tree as the root of all links in it: an image's
 * `/etc/passwd -> /../../etc/shadow` names a file of the image, never one of the machine.
 */
import { constants } from "node:fs";
import { lstat, open, readlink } from "node:fs/promises";
import { join } from "node:path";

/** As many links as Linux follows. */
const MAX_LINKS = 40;

/** @returns undefined when there is no such regular file of at most `limit` bytes */
export async function readFileBelow(root: string, path: string, limit: number): Promise<Uint8Array | undefined> {
  const place = await resolveBelow(root, path);
  if (place === undefined) return undefined;
  try {
    // Non-blocking, for a fifo in the place of the file would wait for a writer for ever.
    await using file = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = await file.stat();
    if (!stats.isFile() || stats.size > limit) return undefined;
    return await file.readFile();
  } catch {
    return undefined;
  }
}

/** Follows links component by component, as if chroot'ed. */
async function resolveBelow(root: string, path: string): Promise<string | undefined> {
  const waiting = path.split("/").toReversed();
  const reached: string[] = [];
  let links = 0;
  while (waiting.length > 0) {
    const name = waiting.pop() ?? "";
    if (name === "" || name === ".") continue;
    if (name === "..") {
      reached.pop();
      continue;
    }
    const place = join(root, ...reached, name);
    const stats = await lstat(place).catch(() => undefined);
    if (stats === undefined) return undefined;
    if (!stats.isSymbolicLink()) {
      reached.push(name);
      continue;
    }
    if (++links > MAX_LINKS) return undefined;
    const target = await readlink(place);
    if (target.startsWith("/")) reached.length = 0;
    waiting.push(...target.split("/").toReversed());
  }
  return join(root, ...reached);
}
