/**
 * Nodes of a tree in memory as entries describe them: owner, attributes, mode and times as metadata.ts leaves them when root unpacks with
 * all privileges.
 */
import type { IndexNode, IndexType } from "../codec/erofs/tree.ts";
import type { TarEntry } from "../codec/tar/entry.ts";
import { ACCESS_ACL } from "./attributes.ts";
import { CAPABILITY, IndexAttributes } from "./index-attributes.ts";
import { impliedNode, newDirectory, newNode, type IndexDirectoryNode } from "./index-tree.ts";
import type { ApplyLimits } from "./limits.ts";
import { quoteName } from "./names.ts";
import { readAcl, withMode, writeAcl } from "./posix-acl.ts";
import type { Tally } from "./report.ts";
import { boundTime } from "./times.ts";

const SET_UID = 0o4000;
const SET_GID = 0o2000;
const MAX_ID = 0xfffffffe;

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export class IndexNodes {
  readonly #tally: Tally;
  readonly #attributes: IndexAttributes;

  constructor(tally: Tally, limits: Required<ApplyLimits>) {
    this.#tally = tally;
    this.#attributes = new IndexAttributes(tally, limits);
  }

  /** A new node of any type but a directory. @param parent where it is made, for owners that cannot be */
  make(entry: TarEntry, type: IndexType, parent: IndexNode | undefined): IndexNode {
    const owner = this.#owner(entry, born(parent));
    const mode = type === "symlink" ? 0o777 : withoutForeignSetId(entry, owner);
    const node = newNode(type, mode, owner.uid, owner.gid, boundTime(entry.modifiedAt));
    if (entry.xattrs !== undefined) this.#add(node, entry);
    return node;
  }

  directory(entry: TarEntry, parent: IndexNode | undefined): IndexDirectoryNode {
    const { uid, gid } = this.#owner(entry, born(parent));
    const node = newDirectory(entry.mode, uid, gid, boundTime(entry.modifiedAt));
    if (entry.xattrs !== undefined) this.#add(node, entry);
    return node;
  }

  /** A directory that is there takes the entry's attributes. */
  describe(node: IndexNode, entry: TarEntry): void {
    const { uid, gid } = this.#owner(entry, node);
    node.uid = uid;
    node.gid = gid;
    node.mode = entry.mode;
    node.modifiedAt = boundTime(entry.modifiedAt);
    node.xattrs = undefined;
    if (entry.xattrs !== undefined) this.#add(node, entry);
  }

  /** A file got one more name: what the entry says holds for all of its names. */
  linked(node: IndexNode, entry: TarEntry): void {
    const { uid, gid } = this.#owner(entry, node);
    // The kernel takes capabilities away with the owner.
    if ((uid !== node.uid || gid !== node.gid) && node.xattrs?.has(CAPABILITY) === true) {
      const rest = new Map(node.xattrs);
      rest.delete(CAPABILITY);
      node.xattrs = rest.size === 0 ? undefined : rest;
    }
    node.uid = uid;
    node.gid = gid;
    if (node.type !== "symlink") node.mode = withoutForeignSetId(entry, node);
    node.modifiedAt = boundTime(entry.modifiedAt);
    if (entry.xattrs !== undefined) this.#add(node, entry);
    else if (node.xattrs?.has(ACCESS_ACL) === true) settleAcl(node, new Map(node.xattrs));
  }

  /** A directory that is there, but is to be as if it were implied: see `Metadata.resetToImplied`. */
  resetToImplied(node: IndexNode): void {
    const { mode, uid, gid, modifiedAt, xattrs } = impliedNode();
    Object.assign(node, { mode, uid, gid, modifiedAt, xattrs });
  }

  #add(node: IndexNode, entry: TarEntry): void {
    const more = this.#attributes.of(entry, node.type);
    if (more === undefined) return;
    const xattrs = new Map(node.xattrs);
    for (const [name, value] of more) {
      if (value === undefined) xattrs.delete(name);
      else xattrs.set(name, value);
    }
    settleAcl(node, xattrs);
  }

  /** Who owns the member then: whom its entry says, unless there can be no such user or group. */
  #owner(entry: TarEntry, has: Owner): Owner {
    if (canOwn(entry) || (has.uid === entry.uid && has.gid === entry.gid)) return entry;
    this.#tally.skip(
      "owners",
      () => `owners left out, the first is ${entry.uid}:${entry.gid} of ${quoteName(entry.name)}`,
    );
    return { uid: has.uid, gid: has.gid };
  }
}

/** Whether the owner is what the entry says, whatever stands around it. */
export function canOwn({ uid, gid }: TarEntry): boolean {
  return isId(uid) && isId(gid);
}

/** Who owns what root makes in a directory. */
function born(parent: IndexNode | undefined): Owner {
  return { uid: 0, gid: parent === undefined || (parent.mode & SET_GID) === 0 ? 0 : parent.gid };
}

function isId(id: number): boolean {
  return Number.isSafeInteger(id) && id >= 0 && id <= MAX_ID;
}

/** As in metadata.ts: a program must not run with the rights of a user whom its image did not mean. */
function withoutForeignSetId({ mode, uid, gid }: TarEntry, has: Owner): number {
  return mode & ~(has.uid === uid ? 0 : SET_UID) & ~(has.gid === gid ? 0 : SET_GID);
}

function settleAcl(node: IndexNode, xattrs: Map<string, Uint8Array>): void {
  const acl = xattrs.get(ACCESS_ACL);
  const entries = acl === undefined ? undefined : readAcl(acl);
  if (entries !== undefined && typeof entries !== "string")
    xattrs.set(ACCESS_ACL, writeAcl(withMode(entries, node.mode)));
  node.xattrs = xattrs.size === 0 ? undefined : xattrs;
}
