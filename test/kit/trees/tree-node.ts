/** A member of a file tree as tests describe it, before it is a tar member or a file on disk. */
export type NodeType = "file" | "directory" | "symlink" | "link" | "fifo" | "char" | "block";

export interface TreeNode {
  readonly type: NodeType;
  /** Relative, without `./`; bytes that are not UTF-8 as surrogateescape. `""` is the root itself. */
  readonly path: string;
  /** Permission bits. Default 0o755 for directories, 0o777 for symlinks, else 0o644. */
  readonly mode?: number;
  /** Default 0. */
  readonly uid?: number;
  /** Default 0. */
  readonly gid?: number;
  /** Nanoseconds since 1970. Default {@link DEFAULT_MTIME}. */
  readonly mtime?: bigint;
  /** Of a file. Default: empty. */
  readonly content?: Uint8Array;
  /** Of a symlink: its target. Of a link: the path of the file it is one more name of. */
  readonly target?: string;
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
  readonly major?: number;
  readonly minor?: number;
}

export const DEFAULT_MTIME = 1_700_000_000_000_000_000n;

const DEFAULT_MODES: Readonly<Record<NodeType, number>> = {
  file: 0o644,
  directory: 0o755,
  symlink: 0o777,
  link: 0o644,
  fifo: 0o644,
  char: 0o644,
  block: 0o644,
};

export function modeOf(node: TreeNode): number {
  return node.mode ?? DEFAULT_MODES[node.type];
}

/** Shorthands, for trees written by hand. */
export const file = (path: string, content: Uint8Array | string = "", rest: Partial<TreeNode> = {}): TreeNode => ({
  type: "file",
  path,
  content: typeof content === "string" ? Buffer.from(content) : content,
  ...rest,
});
export const directory = (path: string, rest: Partial<TreeNode> = {}): TreeNode => ({
  type: "directory",
  path,
  ...rest,
});
export const symlink = (path: string, target: string, rest: Partial<TreeNode> = {}): TreeNode => ({
  type: "symlink",
  path,
  target,
  ...rest,
});
export const hardlink = (path: string, target: string, rest: Partial<TreeNode> = {}): TreeNode => ({
  type: "link",
  path,
  target,
  ...rest,
});
export const fifo = (path: string, rest: Partial<TreeNode> = {}): TreeNode => ({ type: "fifo", path, ...rest });
export const device = (
  path: string,
  type: "char" | "block",
  major: number,
  minor: number,
  rest: Partial<TreeNode> = {},
): TreeNode => ({ type, path, major, minor, ...rest });

/** Image-spec "Whiteouts": hides what lower layers have at this path. */
export function whiteout(path: string): TreeNode {
  const slash = path.lastIndexOf("/") + 1;
  return { type: "file", path: `${path.slice(0, slash)}.wh.${path.slice(slash)}` };
}

/** Image-spec "Opaque Whiteout": hides all that lower layers have in this directory. */
export function opaque(directoryPath: string): TreeNode {
  return { type: "file", path: directoryPath === "" ? ".wh..wh..opq" : `${directoryPath}/.wh..wh..opq` };
}
