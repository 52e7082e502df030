/**
 * What a layer is made of before it is a tar: the changes between two states of a tree, in the order in which a layer lists them. A
 * directory comes before what lies in it, what was removed from it before what stands in it now, names by their bytes.
 */
import type { TarTime, TarType } from "../../codec/tar/entry.ts";
import type { FileContent } from "./tree-directory.ts";

/** As a change names it: a further name of a file is of the file's own type. */
export type NodeType = Exclude<TarType, "link">;

/** Something that stood there is gone. Of a directory, with all that was in it. */
export interface Removal {
  readonly kind: "delete";
  /** Components joined by `/`, none in front. Bytes that are not UTF-8 as surrogateescape. */
  readonly path: string;
}

/**
 * Something new, something that is not what it was, or (`parent`) a directory that is as it was but has changes below it: a layer
 * describes it, because what a layer only implies gets the attributes of nobody.
 */
export interface Presence {
  readonly kind: "add" | "modify" | "parent";
  /** The root is "". */
  readonly path: string;
  readonly node: ChangedNode;
  /** Of a directory: hides what it stands over, which is not known and so could not be listed. */
  readonly opaque: boolean;
}

export type Change = Removal | Presence;

/** What stands at a path now. */
export interface ChangedNode {
  readonly type: NodeType;
  /** Permission bits, at most 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file; 0 for all else. */
  readonly size: number;
  readonly modifiedAt: TarTime;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Of a symbolic link, else empty. */
  readonly target: string;
  /** Those that a layer may carry, by name. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** The path of an earlier change that is the same file. */
  readonly linkedTo: string | undefined;
  /**
   * Opens a file for reading, for the caller to dispose of; only until the next change is asked for.
   * @throws VarveError `SOURCE_CHANGED` when it is another file by now
   */
  open(): FileContent;
}

export type Changes = AsyncIterable<Change>;
