/** What is written is what is read, to the last attribute, and the same tree is always the same bytes. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomIndex } from "../../../test/kit/erofs/random-index.ts";
import { indexNode } from "../../../test/kit/erofs/tree-of-tar.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { encodeName, nameLength } from "../../sys/path-bytes.ts";
import { readErofs } from "./reader.ts";
import type { IndexNode, IndexTree } from "./tree.ts";
import { encodeErofs, type EncodeErofsOptions } from "./writer.ts";

const UUID = Buffer.alloc(16, 0x5a);

function encode(tree: IndexTree, options: Partial<EncodeErofsOptions> = {}): Buffer {
  return Buffer.concat([...encodeErofs(tree, { uuid: UUID, ...options })]);
}

/** As the format has it: a link's size is its target's bytes, children and attributes are in order. */
function normal(node: IndexNode, seen = new Map<IndexNode, IndexNode>()): IndexNode {
  const known = seen.get(node);
  if (known !== undefined) return known;
  const copy = { ...node, size: node.target === undefined ? node.size : nameLength(node.target) };
  seen.set(node, copy);
  const names = [...(node.children?.keys() ?? [])].sort((a, b) => encodeName(a).compare(encodeName(b)));
  const below = names.map((name): [string, IndexNode] => [name, normal(node.children?.get(name) ?? node, seen)]);
  if (node.children !== undefined) copy.children = new Map(below);
  if (node.xattrs !== undefined) copy.xattrs = new Map([...node.xattrs].sort(([a], [b]) => (a < b ? -1 : 1)));
  return copy;
}

/** The names that stand for one inode, as groups. */
function links(tree: IndexTree): string[] {
  const groups = new Map<IndexNode, string[]>();
  const walk = (node: IndexNode, path: string): void => {
    for (const [name, child] of node.children ?? []) {
      groups.set(child, [...(groups.get(child) ?? []), `${path}/${name}`]);
      walk(child, `${path}/${name}`);
    }
  };
  walk(tree.root, "");
  return [...groups.values()].map((names) => names.sort().join(" ")).sort();
}

/** Through a file that is read a little at a time, into memory that is used again. */
function readInPieces(index: Uint8Array): IndexTree {
  const memory = new Uint8Array(2 ** 20);
  const read = (position: number, length: number) => {
    memory.fill(255, 0, length).set(index.subarray(position, position + length));
    return memory.subarray(0, length);
  };
  return readErofs({ size: index.length, read });
}

describe("an index", () => {
  it("reads as the tree that was written", () => {
    const seeds = fc.integer({ min: 0, max: 2 ** 31 });
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 150 }), fc.integer({ min: 0, max: 4 }), (seed, size, devices) => {
        const tree = randomIndex(createRng(seed), { size, devices });
        const index = encode(tree);
        const expected = { root: normal(tree.root), devices: tree.devices };
        expect(index.length % 512).toBe(0);
        const read = readErofs(index);
        expect(read).toEqual(expected);
        expect(links(read)).toEqual(links(expected));
        expect(encode(read)).toEqual(index);
      }),
      { numRuns: 150 },
    );
  });

  it("is the same whatever the order in which names and attributes came", () => {
    const tree = randomIndex(createRng(3), { size: 200 });
    const index = encode(tree);
    const turn = (node: IndexNode): void => {
      if (node.xattrs !== undefined) node.xattrs = new Map([...node.xattrs].toReversed());
      if (node.children === undefined) return;
      for (const child of node.children.values()) turn(child);
      node.children = new Map([...node.children].toReversed());
    };
    turn(tree.root);
    expect(encode(tree)).toEqual(index);
    expect(encode(tree, { uuid: Buffer.alloc(16, 1) })).not.toEqual(index);
  });

  it("comes in chunks that stay as they are, however large the tree", () => {
    const children = new Map<string, IndexNode>();
    for (let at = 0; at < 20_000; at++) {
      const target = "t".repeat(at % 700 === 0 ? 4000 : 1 + (at % 300));
      const xattrs = at % 4000 === 0 ? new Map([["user.x", new Uint8Array(65_535).fill(at)]]) : undefined;
      children.set(`${"n".repeat(at % 200)}${at}`, indexNode("symlink", { target, size: target.length, xattrs }));
    }
    const tree = { root: indexNode("directory", { children }), devices: [{ size: 512, tag: "" }] };
    const lengths: number[] = [];
    const copies: Buffer[] = [];
    const chunks: Uint8Array[] = [];
    for (const chunk of encodeErofs(tree, { uuid: UUID })) {
      lengths.push(chunk.length);
      copies.push(Buffer.from(chunk));
      chunks.push(chunk);
    }
    expect(lengths.length).toBeGreaterThan(10);
    expect(Math.max(...lengths)).toBeLessThan(600_000);
    const index = Buffer.concat(chunks);
    expect(index.equals(Buffer.concat(copies))).toBe(true);
    const { root } = readErofs(index);
    expect(root.children?.size).toBe(20_000);
    for (const [name, { target, xattrs }] of root.children ?? []) {
      if (children.get(name)?.target !== target) expect(target).toBe(children.get(name)?.target);
      if (xattrs !== undefined) expect(xattrs).toEqual(children.get(name)?.xattrs);
    }
  });

  it("that is larger than what is read at once is read in pieces", () => {
    const children = new Map<string, IndexNode>();
    const value = new Uint8Array(60_000).fill(7);
    for (let at = 0; at < 700; at++) {
      const below = new Map([["x", indexNode("symlink", { target: "y".repeat(at + 1), size: at + 1 })]]);
      const xattrs = new Map([["user.large", value]]);
      children.set(String(at).padStart(3, "0"), indexNode("directory", { children: below, xattrs }));
    }
    const tree = { root: indexNode("directory", { children }), devices: [] };
    const index = encode(tree);
    expect(index.length).toBeGreaterThan(2 ** 25);
    const read = readInPieces(index);
    expect([...(read.root.children?.keys() ?? [])]).toEqual([...children.keys()]);
    for (const [name, child] of read.root.children ?? []) {
      if (child.children?.get("x")?.target !== "y".repeat(Number(name) + 1)) throw new Error(`${name} is wrong`);
      if (Buffer.compare(child.xattrs?.get("user.large") ?? value.subarray(1), value) !== 0) throw new Error(name);
    }
  });

  it("takes the time that most inodes have as its epoch, which makes them smaller", () => {
    const modifiedAt = { seconds: 1_600_000_000, nanoseconds: 0 };
    const children = new Map(Array.from({ length: 100 }, (_, at) => [String(at), indexNode("fifo", { modifiedAt })]));
    const tree = { root: indexNode("directory", { children }), devices: [] };
    expect(encode(tree).length).toBeLessThan(encode(tree, { epoch: { seconds: 0, nanoseconds: 1 } }).length - 3000);
    expect(encode(tree, { epoch: modifiedAt })).toEqual(encode(tree));
    expect(readErofs(encode(tree, { epoch: { seconds: -5, nanoseconds: 1 } }))).toEqual(readErofs(encode(tree)));
  });

  it("leaves out attributes that it has no room for, and tells of each", () => {
    const xattrs = new Map([
      ["user.kept", new Uint8Array([1])],
      ["user.", new Uint8Array([1])],
      ["os2.odd", new Uint8Array([1])],
      ["system.nfs4_acl", new Uint8Array([1])],
      ["system.posix_acl_accessory", new Uint8Array([1])],
      ["user.large", new Uint8Array(65_536)],
      [`user.${"n".repeat(256)}`, new Uint8Array([1])],
      ...Array.from({ length: 5 }, (_, at): [string, Uint8Array] => [`trusted.${at}`, new Uint8Array(65_535)]),
    ]);
    const file = indexNode("file", { xattrs });
    const other = indexNode("file", { xattrs: new Map([["x.y", new Uint8Array()]]) });
    const children = new Map([
      ["f", file],
      ["g", other],
    ]);
    const dropped: string[] = [];
    const index = encode(
      { root: indexNode("directory", { children }), devices: [] },
      { onDroppedXattr: (name, node) => dropped.push(`${name.slice(0, 30)} of ${node === file ? "f" : "g"}`) },
    );
    const read = readErofs(index).root.children;
    expect(read?.get("g")?.xattrs).toBeUndefined();
    expect([...(read?.get("f")?.xattrs?.keys() ?? [])]).toEqual(["trusted.0", "trusted.1", "trusted.2", "user.kept"]);
    expect(dropped.sort()).toEqual(
      [
        "os2.odd of f",
        "system.nfs4_acl of f",
        "system.posix_acl_accessory of f",
        "trusted.3 of f",
        "trusted.4 of f",
        "user. of f",
        "user.large of f",
        `user.${"n".repeat(25)} of f`,
        "x.y of g",
      ].sort(),
    );
  });
});
