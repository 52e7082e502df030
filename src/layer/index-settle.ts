/**
 * What settling does to a layer's directory (overlay-settle.ts), done to the layer's tree in memory: for comparing the two, and by the
 * other way of thinking, so that neither repeats the other's mistakes.
 */
import type { IndexNode } from "../codec/erofs/tree.ts";
import type { AtCalls } from "../sys/at.ts";
import { nodeOnDisk } from "./index-on-disk.ts";
import {
  isDirectory,
  isOpaque,
  isWhiteout,
  mark,
  unmarked,
  whiteoutNode,
  type IndexDirectoryNode,
} from "./index-tree.ts";
import type { OpenEnds } from "./layer-target.ts";
import { quoteName } from "./names.ts";
import type { OverlayMarks } from "./overlay-marks.ts";
import type { OverlayStack } from "./overlay-stack.ts";
import { namesIn } from "./remover.ts";

/** @returns why the layer was applied onto its parents instead, if it was; the tree then says nothing */
export function settleIndex(
  root: IndexDirectoryNode,
  open: OpenEnds,
  below: { readonly at: AtCalls; readonly marks: OverlayMarks; readonly lower: OverlayStack },
): string | undefined {
  if (open.replay !== undefined) return open.replay;
  const { at, marks, lower } = below;
  const other = open.implied.find((path) => lower.look(path) === "other");
  if (other !== undefined) return `lower layers have no directory at ${quoteName(other)}`;
  const implied = new Set(open.implied);

  /** @returns whether it merges with lower directories. As deep as `ApplyLimits.depth`. */
  const settle = (node: IndexDirectoryNode, path: string, covered: boolean): boolean => {
    const seen = covered ? "missing" : lower.look(path);
    const merges = typeof seen !== "string";
    if (merges && implied.has(path)) takeAttributes(node, nodeOnDisk(at, seen[0], ""));
    const opaque = isOpaque(node);
    if (!merges) node.xattrs = unmarked(node.xattrs);
    for (const [name, child] of node.children) {
      const here = path === "" ? name : `${path}/${name}`;
      if (isWhiteout(child) && (!merges || opaque)) node.children.delete(name);
      if (!isDirectory(child)) continue;
      const hides = merges && opaque && path === "" && typeof lower.look(name) !== "string";
      const stays = settle(child, here, covered || opaque) || !implied.has(here) || child.children.size > 0;
      if (!stays) node.children.delete(name);
      if (hides) mark(child, true, false);
    }
    return merges;
  };

  const opaque = isOpaque(root);
  if (settle(root, "", false) && opaque) hideNames(root);
  return undefined;

  function hideNames(node: IndexDirectoryNode): void {
    const seen = lower.look("");
    for (const fd of typeof seen === "string" ? [] : seen) {
      for (const name of namesIn(fd)) {
        if (!node.children.has(name) && !marks.isWhiteout(fd, name)) node.children.set(name, whiteoutNode());
      }
    }
  }
}

function takeAttributes(node: IndexNode, from: IndexNode): void {
  const { mode, uid, gid, modifiedAt, xattrs } = from;
  const opaque = isOpaque(node);
  Object.assign(node, { mode, uid, gid, modifiedAt, xattrs });
  mark(node, opaque, false);
}
