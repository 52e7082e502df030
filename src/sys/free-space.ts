/** How much room a file system has left for this process. */
import { statfs } from "node:fs/promises";

/** Bytes; undefined where the file system does not tell, as those without a limit do. @throws NodeJS.ErrnoException */
export async function freeSpace(path: string): Promise<number | undefined> {
  const { blocks, bfree, bavail, bsize } = await statfs(path);
  if (blocks === 0) return undefined;
  // What is reserved is reserved for root.
  return (process.getuid?.() === 0 ? bfree : bavail) * bsize;
}
