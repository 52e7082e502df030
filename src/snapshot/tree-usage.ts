/** What a tree takes on the disk: containerd's `fs.DiskUsage`, hard links counted once. */
import { setImmediate } from "node:timers/promises";
import { toVarveError } from "../errors/from-system.ts";
import { atCalls } from "../sys/at.ts";
import { walkTree } from "../sys/walk-tree.ts";
import type { Usage } from "./types.ts";

const BLOCK_BYTES = 512;
/** Names after which others get their turn: some milliseconds of work. */
const TURN = 1000;
const PASSED_OVER: ReadonlySet<string> = new Set(["ENOENT", "EXDEV", "EACCES"]);

/**
 * Bytes allocated and inodes, the root's included. The tree may change meanwhile; what is mounted in it, and what may not be read, is
 * left out. Memory is one entry for each inode that has several names.
 * @throws VarveError `FILE_NOT_FOUND`, `IO`; the signal's reason
 */
export async function treeUsage(root: string, options: { readonly signal?: AbortSignal } = {}): Promise<Usage> {
  const seen = new Set<string>();
  let bytes = 0;
  let inodes = 0;
  let visits = 0;
  const passOver = (code: string): boolean => visits > 0 && PASSED_OVER.has(code);
  try {
    for (const { event, status } of walkTree(atCalls(), root, { passOver })) {
      if (++visits % TURN === 0) await setImmediate();
      options.signal?.throwIfAborted();
      if (event === "leave") continue;
      if (event === "other" && status.links > 1) {
        const inode = `${status.device}:${status.inode}`;
        if (seen.has(inode)) continue;
        seen.add(inode);
      }
      bytes += status.blocks * BLOCK_BYTES;
      inodes++;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    throw toVarveError(error, `looking at ${root}`);
  }
  return { bytes, inodes };
}
