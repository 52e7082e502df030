/**
 * One tree of files made again in another place of the same file system, to the last bit: types, owners, modes, times, extended attributes,
 * hard links, devices, holes. Contents are shared where the file system can, so that a clone then costs metadata only.
 *
 * Names are looked up below open directories only, and what is mounted in the tree stops it. Memory is what the depth takes, and a number
 * for each file of several names until all of them were met.
 */
import { setImmediate } from "node:timers/promises";
import { AT_FDCWD, atCalls } from "../../sys/at.ts";
import { must } from "../../sys/errno.ts";
import { removeTree } from "../../sys/remove-tree.ts";
import { walkTree } from "../../sys/walk-tree.ts";
import type { Skipped } from "./clone-metadata.ts";
import { TreeClone } from "./tree-clone.ts";

/** Names after which others get their turn: some milliseconds of work. */
const TURN = 200;
const OWNER_ONLY = 0o700;

export interface CloneOptions {
  /**
   * Whether what stands at `to` stays where the clone has nothing: as when a layer without whiteouts is applied. Default false: it is
   * missing, or an empty directory.
   */
  readonly onto?: boolean;
  readonly signal?: AbortSignal;
}

export interface CloneReport {
  /** Files, directories and all else, hard links counted once. */
  readonly inodes: number;
  /** What only a more powerful user could have kept. */
  readonly skipped: Readonly<Skipped>;
}

/**
 * @param from a directory; the tree does not change meanwhile. Of a user who may not read all of it, who owns it, modes are changed for a
 * moment, so no two clones of it may be made at once then
 * @param to is made when it is missing. While this works there is another directory beside it, with `.links` behind its name
 * @throws NodeJS.ErrnoException; the signal's reason. The clone is incomplete then
 */
export async function cloneTree(from: string, to: string, options: CloneOptions = {}): Promise<CloneReport> {
  const at = atCalls();
  const links = `${to}.links`;
  await removeTree(links);
  must(at.mkdir(AT_FDCWD, links, OWNER_ONLY), "mkdir", links);
  try {
    using clone = new TreeClone(at, { to, links, onto: options.onto ?? false });
    let visits = 0;
    for (const visit of walkTree(at, from, { admit: clone.admit })) {
      options.signal?.throwIfAborted();
      for (const waiting of clone.visit(visit)) {
        await waiting;
        options.signal?.throwIfAborted();
      }
      if (++visits % TURN === 0) await setImmediate();
    }
    return { inodes: clone.inodes, skipped: clone.skipped };
  } finally {
    await removeTree(links);
  }
}
