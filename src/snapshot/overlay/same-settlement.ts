/** Whether a settled layer would be settled in just the same way on other parents: then they can share its tree. */
import { AT_FDCWD, atCalls, OPEN_DIRECTORY, type AtCalls } from "../../sys/at.ts";
import { must, systemError } from "../../sys/errno.ts";
import { removeTree } from "../../sys/remove-tree.ts";
import { xattrCalls } from "../../sys/xattr.ts";
import { copyAttributes, resetAttributes } from "../../layer/directory-attributes.ts";
import { isOverlayXattr, OverlayMarks } from "../../layer/overlay-marks.ts";
import { OverlayStack } from "../../layer/overlay-stack.ts";

export interface SameSettlementOptions {
  /** The settled tree. */
  readonly directory: string;
  readonly implied: readonly string[];
  /** Trees of the other parents, the nearest first. */
  readonly parents: readonly string[];
  readonly userXattr: boolean;
  /** A path where a directory can be made for a moment. */
  readonly trial: string;
}

/** @throws NodeJS.ErrnoException */
export async function isSameSettlement(options: SameSettlementOptions): Promise<boolean> {
  const { directory, implied, parents, userXattr, trial } = options;
  if (implied.length === 0) return true;
  const at = atCalls();
  const marks = new OverlayMarks(at, userXattr);
  await removeTree(trial);
  must(at.mkdir(AT_FDCWD, trial, 0o700), "mkdir", trial);
  const fd = must(at.open(AT_FDCWD, trial, OPEN_DIRECTORY, 0), "open", trial);
  try {
    using own = new OverlayStack(at, marks, [directory]);
    using lower = new OverlayStack(at, marks, parents);
    return implied.every((path) => {
      const [mine, below] = [own.look(path), lower.look(path)];
      if (below === "other" || typeof mine === "string") return false;
      // What would be given to it is given to another, and that one compared: there is one place that knows how.
      if (below === "missing") resetAttributes(at, fd);
      else copyAttributes(at, below[0], fd);
      return attributesOf(at, mine[0]) === attributesOf(at, fd);
    });
  } finally {
    at.close(fd);
    await removeTree(trial);
  }
}

function attributesOf(at: AtCalls, fd: number): string {
  const status = at.stat(fd, "");
  if (typeof status === "number") throw systemError(-status, "statx");
  const { uid, gid, mode, modifiedAt } = status;
  const path = `/proc/self/fd/${fd}/.`;
  const names = xattrCalls()
    .list(path)
    .filter((name) => !isOverlayXattr(name));
  const xattrs = names
    .toSorted()
    .map((name) => [name, Buffer.from(xattrCalls().get(path, name) ?? []).toString("hex")]);
  return JSON.stringify([uid, gid, mode, modifiedAt, xattrs]);
}
