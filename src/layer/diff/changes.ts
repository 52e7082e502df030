/** What a layer has to say of a tree that was written: the two forms in which drivers keep such trees. */
import type { Change } from "./change.ts";
import { LinkSurvey, type OpenTree } from "./link-survey.ts";
import { OpenDirectory } from "./open-directory.ts";
import type { TreeDirectory } from "./tree-directory.ts";
import { Walk } from "./walk.ts";

export type { Change, Changes, NodeType } from "./change.ts";

/** A directory's path, or what gives the root of a tree that lies elsewhere, anew each time. */
export type Tree = { readonly path: string } | { readonly open: () => TreeDirectory };

export interface ChangesOptions {
  /**
   * Whether the root is a change when only its modification time differs, which nearly every change does to it. Default false, as image
   * builders have it; true where the tree is to be made again exactly.
   */
  readonly rootTime?: boolean;
  readonly signal?: AbortSignal;
}

export interface UpperOptions extends ChangesOptions {
  /**
   * The merged view of what the upper one was written over; `none` when it was written over nothing. Default:
   * something that is not known; everything is then told as added, and opaque directories as such.
   */
  readonly lower?: Tree | "none";
  /** Whether the overlay's marks are `user.overlay.*` rather than `trusted.overlay.*`. */
  readonly userXattr: boolean;
}

/**
 * What an overlay's upper directory changes. What was copied up and is as it was below is no change; see {@link changesOfTrees} for
 * what that means. A file that has, or below had, several names is always one.
 *
 * @throws VarveError `SNAPSHOT_STATE` for directories that were renamed with redirect_dir=on and files copied up with metacopy=on;
 * `SOURCE_CHANGED` when somebody writes meanwhile, `LAYER_LIMIT`, `PERMISSION`, `FILE_NOT_FOUND`, `FFI_UNAVAILABLE`; the signal's reason
 */
export function changesOfUpper(upper: string, options: UpperOptions): AsyncGenerator<Change, void, undefined> {
  const { lower = "unknown", userXattr, rootTime = false, signal } = options;
  return new Walk({
    upper: () => OpenDirectory.open(upper),
    lower: typeof lower === "string" ? lower : opening(lower),
    overlay: { userXattr },
    links: undefined,
    rootTime,
    signal,
  }).changes();
}

/**
 * What has to change in the tree `lower` to make it the tree `upper`. Exact: what is not told is of the same type, mode, owner,
 * modification time, extended attributes, target and content, and shares its file with the same names as before. Content of files is
 * compared where all else is alike, however recent or old they are. Sockets, and devices that overlays take for whiteouts, are as if
 * they were not there.
 *
 * @throws VarveError as {@link changesOfUpper}
 */
export async function* changesOfTrees(
  lower: string | Tree,
  upper: string | Tree,
  options: ChangesOptions = {},
): AsyncGenerator<Change, void, undefined> {
  const { rootTime = false, signal } = options;
  const trees = { upper: opening(upper), lower: opening(lower) };
  const links = await LinkSurvey.make(trees.upper, trees.lower, signal);
  yield* new Walk({ ...trees, overlay: undefined, links, rootTime, signal }).changes();
}

/** All that is in a tree, as what has to be added to nothing. @throws VarveError as {@link changesOfUpper} */
export function changesOfTree(
  tree: string | Tree,
  options: ChangesOptions = {},
): AsyncGenerator<Change, void, undefined> {
  const { rootTime = false, signal } = options;
  const upper = opening(tree);
  return new Walk({ upper, lower: "none", overlay: undefined, links: undefined, rootTime, signal }).changes();
}

function opening(tree: string | Tree): OpenTree {
  if (typeof tree === "string") return () => OpenDirectory.open(tree);
  return "open" in tree ? tree.open : () => OpenDirectory.open(tree.path);
}
