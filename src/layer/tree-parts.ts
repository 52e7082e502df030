/** All that it takes to write a layer into a directory, put together; what differs from one applier to the other is the `Lower`. */
import { atCalls, type AtCalls } from "../sys/at.ts";
import { Attributes } from "./attributes.ts";
import { DirectoryTree, type DirectoryTreeOptions } from "./directory-tree.ts";
import { rootFault } from "./fault.ts";
import { DEFAULT_LIMITS, type ApplyLimits } from "./limits.ts";
import type { Lower } from "./lower.ts";
import { Members } from "./members.ts";
import { Metadata } from "./metadata.ts";
import { privileges } from "./privileges.ts";
import { Remover } from "./remover.ts";
import { Tally } from "./report.ts";
import type { TreeWriterParts } from "./tree-writer.ts";

export interface TreePartsOptions {
  /** Everything belongs to the user who runs this. Default false: to whom the layers say. */
  readonly noSameOwner?: boolean;
  readonly limits?: ApplyLimits;
}

/** What a `Lower` is made of. */
export interface LowerTools {
  readonly at: AtCalls;
  readonly tree: DirectoryTree;
  readonly remover: Remover;
  readonly limits: Required<ApplyLimits>;
}

/** @throws PERMISSION, FILE_NOT_FOUND, PATH_INVALID, FFI_UNAVAILABLE */
export function openTreeParts<L extends Lower>(
  root: string,
  options: TreePartsOptions,
  makeLower: (tools: LowerTools) => L,
): TreeWriterParts & { readonly lower: L } {
  const at = atCalls();
  const tally = new Tally();
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const rights = privileges();
  const confinedTo = rights.uid === 0 ? undefined : rights.uid;
  const attributes = new Attributes(at, tally, { limits, restricted: rights.restricted });
  const metadata = new Metadata(at, tally, attributes, {
    sameOwner: options.noSameOwner !== true,
    privileges: rights,
  });
  const tree = openTree(root, at, {
    limits,
    confinedTo,
    makeImplied: (parent, name) => lower.imply(parent, name, () => members.impliedDirectory(parent, name)),
    isHidden: (parent, name) => lower.isHidden(parent, name),
    passed: (parent, name) => lower.passed(parent, name),
  });
  const remover = new Remover(at, tree, {
    confinedTo,
    makeImplied: (directory) => members.resetToImplied(directory),
  });
  const lower = makeLower({ at, tree, remover, limits });
  const members = new Members({ at, tree, metadata, lower, tally });
  return { at, limits, tally, tree, metadata, members, lower };
}

function openTree(root: string, at: AtCalls, options: DirectoryTreeOptions): DirectoryTree {
  try {
    return new DirectoryTree(root, at, options);
  } catch (error) {
    throw rootFault(error, root);
  }
}
