/** What the index over a layer's files leaves in the layer's folder; it goes with the folder. For who counts what lies there. */
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { INDEX_FILE } from "./index-format.ts";
import { KNOWN_FILE } from "./known-file.ts";

const BLOCK_BYTES = 512;

/** Bytes on the disk of a layer's index; 0 when none was built. */
export async function indexBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of [INDEX_FILE, KNOWN_FILE]) {
    const found = await lstat(join(folder, name)).catch(() => undefined);
    bytes += (found?.blocks ?? 0) * BLOCK_BYTES;
  }
  return bytes;
}
