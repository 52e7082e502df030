/** Where the tar-split of a tree is kept (kept-split.ts): for who only has to know its name. */
import { lstat } from "node:fs/promises";
import { join } from "node:path";

const BLOCK_BYTES = 512;

/** @param folder of a snapshot, in which its tree is too */
export function splitPath(folder: string): string {
  return join(folder, "tar-split.json.zst");
}

/** Bytes on the disk; 0 when none was kept. */
export async function splitBytes(folder: string): Promise<number> {
  const found = await lstat(splitPath(folder)).catch(() => undefined);
  return (found?.blocks ?? 0) * BLOCK_BYTES;
}
