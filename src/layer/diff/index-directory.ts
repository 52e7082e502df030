/**
 * A tree that is an index over layers' tars, read like one on a disk, so that what changed can be told without mounting anything. Where
 * files' bytes lie in the same place, nobody has to read them to know that they are alike.
 */
import { closeSync, openSync } from "node:fs";
import type { IndexNode, IndexTree } from "../../codec/erofs/tree.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { FileStatus } from "../../sys/at.ts";
import { isContent, type Attributes } from "./attributes.ts";
import { readFrom } from "./open-directory.ts";
import { compareNames, TYPE_BITS, type FileContent, type Listed, type TreeDirectory } from "./tree-directory.ts";

const NO_ATTRIBUTES: ReadonlyMap<string, Uint8Array> = new Map();

interface Numbered {
  readonly inode: bigint;
  links: number;
}

/** What all directories of a tree share. */
interface Shared {
  /** Paths of the files that hold content, in the order of the index's devices. */
  readonly devices: readonly string[];
  readonly nodes: ReadonlyMap<IndexNode, Numbered>;
}

export class IndexDirectory implements TreeDirectory {
  readonly #node: IndexNode;
  readonly #shared: Shared;

  private constructor(node: IndexNode, shared: Shared) {
    this.#node = node;
    this.#shared = shared;
  }

  /**
   * The root of a tree in which no overlay's marks are left.
   * @param devices paths, in the order of the tree's devices @throws INDEX_INVALID when there are more or fewer
   */
  static open(tree: IndexTree, devices: readonly string[]): IndexDirectory {
    if (devices.length !== tree.devices.length) {
      throw new VarveError("INDEX_INVALID", `an index names ${tree.devices.length} files, not ${devices.length}`);
    }
    return new IndexDirectory(tree.root, { devices, nodes: numberNodes(tree) });
  }

  child(name: string): IndexDirectory {
    return new IndexDirectory(this.#find(name), this.#shared);
  }

  list(): Listed[] {
    const listed = [...(this.#node.children ?? [])].map(([name, { type }]): Listed => {
      return { name, special: type === "char" || type === "socket" ? type : undefined };
    });
    return listed.sort((a, b) => compareNames(a.name, b.name));
  }

  stat(name: string): FileStatus | undefined {
    const node = name === "" ? this.#node : this.#node.children?.get(name);
    return node && statusOf(node, this.#shared.nodes.get(node));
  }

  readlink(name: string): string {
    return this.#find(name).target ?? "";
  }

  attributes(name: string): Attributes {
    const { xattrs } = this.#find(name);
    if (xattrs === undefined) return { content: NO_ATTRIBUTES, marks: NO_ATTRIBUTES };
    return { content: new Map([...xattrs].filter(([attribute]) => isContent(attribute))), marks: NO_ATTRIBUTES };
  }

  openFile(name: string): FileContent {
    const node = this.#find(name);
    const status = statusOf(node, this.#shared.nodes.get(node));
    const { place } = node;
    const file = place === undefined ? undefined : openSync(this.#shared.devices[place.device] ?? "", "r");
    return {
      stat: () => status,
      read: async (buffer, position, length) => {
        const there = Math.max(0, Math.min(length, node.size - position));
        if (file !== undefined) return readFrom(file, buffer, (place?.offset ?? 0) + position, there);
        buffer.fill(0, 0, there);
        return there;
      },
      [Symbol.dispose]: () => void (file !== undefined && closeSync(file)),
    };
  }

  holderOf(name: string, { size }: FileStatus): string {
    const { place } = this.#find(name);
    const { devices } = this.#shared;
    return place === undefined ? `zeros ${size}` : `${devices[place.device] ?? ""} ${place.offset}`;
  }

  [Symbol.dispose](): void {
    // Nothing is held.
  }

  #find(name: string): IndexNode {
    const node = name === "" ? this.#node : this.#node.children?.get(name);
    if (node === undefined) throw new VarveError("INTERNAL", `an index has no ${JSON.stringify(name)} there`);
    return node;
  }
}

/** Numbers files as a file system does, and counts their names. */
function numberNodes({ root }: IndexTree): ReadonlyMap<IndexNode, Numbered> {
  const nodes = new Map<IndexNode, Numbered>([[root, { inode: 1n, links: 1 }]]);
  // Directories have one name each; all else is here just once however many names it has.
  for (const node of nodes.keys()) {
    for (const child of node.children?.values() ?? []) {
      const known = nodes.get(child);
      if (known === undefined) nodes.set(child, { inode: BigInt(nodes.size + 1), links: 1 });
      else known.links++;
    }
  }
  return nodes;
}

function statusOf(node: IndexNode, numbered: Numbered | undefined): FileStatus {
  const { type, mode, uid, gid, size, modifiedAt, deviceMajor, deviceMinor } = node;
  return {
    mode: TYPE_BITS[type] | mode,
    uid,
    gid,
    links: numbered?.links ?? 1,
    // Of no file system that can be mounted.
    device: -1n,
    inode: numbered?.inode ?? 0n,
    size,
    blocks: 0,
    accessedAt: modifiedAt,
    modifiedAt,
    deviceMajor,
    deviceMinor,
  };
}
