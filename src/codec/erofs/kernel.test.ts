/** The kernel as judge: an index over a tar, mounted, is the tree that the tar describes. */
import {
  closeSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../../test/kit/images/pack-tree.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { canMountIndexes, mountIndex, rootOf, writeChunks } from "../../../test/kit/erofs/mount-index.ts";
import { exampleDevice, exampleIndex, exampleTree } from "../../../test/kit/erofs/example.ts";
import { randomIndex } from "../../../test/kit/erofs/random-index.ts";
import { indexNode, treeOfTar } from "../../../test/kit/erofs/tree-of-tar.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { diffTrees } from "../../../test/kit/trees/diff-trees.ts";
import { expectedTree } from "../../../test/kit/trees/expected-tree.ts";
import { randomTree } from "../../../test/kit/trees/random-tree.ts";
import { readTree, type TreeEntry } from "../../../test/kit/trees/read-tree.ts";
import { device, directory, file, hardlink, symlink, type TreeNode } from "../../../test/kit/trees/tree-node.ts";
import { decodeName, encodeName } from "../../sys/path-bytes.ts";
import { xattrCalls } from "../../sys/xattr.ts";
import { TYPES } from "./format.ts";
import type { IndexNode, IndexTree } from "./tree.ts";
import { encodeErofs } from "./writer.ts";

const UUID = Buffer.from("00112233445566778899aabbccddeeff", "hex");

/** What the kernel shows of an index over these devices. */
async function mounted<T>(
  tree: IndexTree,
  devices: readonly Uint8Array[],
  look: (root: string) => Promise<T> | T,
): Promise<T> {
  await using dir = await tempDir();
  const index = join(dir.path, "index.erofs");
  writeChunks(index, encodeErofs(tree, { uuid: UUID }));
  const paths = devices.map((bytes, number) => {
    const path = join(dir.path, String(number));
    writeFileSync(path, bytes);
    return path;
  });
  using mount = mountIndex(index, paths);
  return await look(rootOf(mount));
}

async function shown(nodes: readonly TreeNode[]): Promise<TreeEntry[]> {
  const tar = packTree(nodes);
  return await mounted(treeOfTar(tar), [tar], readTree);
}

function describeNode(node: IndexNode): string {
  const { type, mode, uid, gid, modifiedAt, xattrs, target, children } = node;
  const time = BigInt(modifiedAt.seconds) * 1_000_000_000n + BigInt(modifiedAt.nanoseconds);
  const size = type === "file" ? node.size : undefined;
  const device = type === "char" || type === "block" ? [node.deviceMajor, node.deviceMinor] : [];
  // The kernel shows `user.*` of files and directories only.
  const hidden = type === "file" || type === "directory" ? ["system."] : ["system.", "user."];
  const values = [...(xattrs ?? [])].filter(([name]) => !hidden.some((prefix) => name.startsWith(prefix)));
  const shown = values.map(([name, value]) => `${name}=${Buffer.from(value).toString("hex")}`).sort();
  return [TYPES[type].mode | mode, uid, gid, time, size, target, ...device, children?.size, ...shown].join(" ");
}

/** Attributes that are ACLs are left to those who know how they have to look. */
function describeFile(path: string): string {
  const name = encodeName(path);
  const stats = lstatSync(name, { bigint: true });
  const size = stats.isFile() ? stats.size : undefined;
  const target = stats.isSymbolicLink() ? decodeName(readlinkSync(name, { encoding: "buffer" })) : undefined;
  const { rdev } = stats;
  const device = [(rdev >> 8n) & 0xfffn, (rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n)];
  const numbers = stats.isCharacterDevice() || stats.isBlockDevice() ? device : [];
  const children = stats.isDirectory() ? readdirSync(name).length : undefined;
  const calls = xattrCalls();
  const names = calls.list(path).filter((name) => !name.startsWith("system."));
  const known = names
    .map((name) => ({ name, value: calls.get(path, name) }))
    .filter(({ value }) => value !== undefined);
  const shown = known.map(({ name, value }) => `${name}=${Buffer.from(value ?? []).toString("hex")}`).sort();
  return [stats.mode, stats.uid, stats.gid, stats.mtimeNs, size, target, ...numbers, children, ...shown].join(" ");
}

describe.skipIf(!canMountIndexes())("a mounted index", () => {
  it.each([1, 2, 3, 4])("shows a random tree as its tar describes it (seed %i)", async (seed) => {
    const nodes = randomTree(createRng(seed), { size: 150, maxFileSize: 3000 });
    expect(diffTrees(expectedTree([nodes]), await shown(nodes), { root: false })).toEqual([]);
  });

  it("shows the same of an index whether mkfs.erofs made it or we", async () => {
    await using dir = await tempDir();
    const [theirs, tar] = [join(dir.path, "index"), join(dir.path, "tar")];
    writeFileSync(theirs, exampleIndex());
    writeFileSync(tar, exampleDevice());
    using mount = mountIndex(theirs, [tar]);
    const ours = await mounted(exampleTree(), [exampleDevice()], readTree);
    expect(diffTrees(await readTree(rootOf(mount)), ours)).toEqual([]);
    expect(ours).toHaveLength(8);
  });

  it("shows every type, extreme owners and times, names of all bytes, the attributes of each namespace", async () => {
    const nodes = [
      directory("", { mode: 0o1755, uid: 5, gid: 6, mtime: 77n }),
      directory("d", { mode: 0o1777, uid: 12, gid: 3_000_000_000, mtime: -1_500_000_000n }),
      file("d/new\nline", "x", {
        xattrs: {
          "user.a": Buffer.from([0, 255, 10]),
          "user.ü": Buffer.from("y"),
          "trusted.overlay.opaque": Buffer.from("y"),
          "security.capability": Buffer.from("0100000200200000000000000000000000000000", "hex"),
          "system.posix_acl_access": Buffer.from(
            "0200000001000600ffffffff020007000700000004000400ffffffff10000700ffffffff20000400ffffffff",
            "hex",
          ),
        },
      }),
      file("d/\udcff\udc80", "bytes", { mode: 0o6755, uid: 65_536, mtime: 1_234_567_890_123_456_789n }),
      file("d/late", "", { mtime: 17_000_000_000_000_000_000n }),
      file(`d/${"n".repeat(255)}`, Buffer.alloc(70_000, 7)),
      symlink("d/link", "../somewhere/ü", { uid: 7 }),
      symlink("d/long", "t".repeat(900)),
      symlink("d/longest", "t".repeat(4095)),
      symlink("d/block", "t".repeat(512)),
      symlink("d/nearly", "t".repeat(448)),
      symlink("d/hardly", "t".repeat(449)),
      device("d/null", "char", 1, 3, { mode: 0o666 }),
      device("d/disk", "block", 300, 70_000),
      device("d/whiteout", "char", 0, 0, { mode: 0 }),
      directory("empty"),
    ];
    expect(diffTrees(expectedTree([nodes]), await shown(nodes))).toEqual([]);
  });

  it.each([1, 2, 3])("shows each field of a random index (seed %i)", async (seed) => {
    const tree = randomIndex(createRng(seed), { size: 200 });
    const zeros = tree.devices.map(({ size }) => new Uint8Array(size));
    await mounted(tree, zeros, (root) => {
      const differences: string[] = [];
      const compare = (node: IndexNode, path: string): void => {
        const [was, is] = [describeNode(node), describeFile(path)];
        if (was !== is) differences.push(`${JSON.stringify(path)}: ${was} / ${is}`);
        for (const [name, child] of node.children ?? []) compare(child, `${path}/${name}`);
      };
      compare(tree.root, root);
      expect(differences).toEqual([]);
    });
  });

  it("counts links: names of a file, and of a directory its subdirectories", async () => {
    const nodes = [
      directory("a"),
      directory("a/b"),
      directory("a/c"),
      file("a/f", "same"),
      hardlink("a/b/g", "a/f"),
      hardlink("h", "a/f"),
    ];
    const tar = packTree(nodes);
    await mounted(treeOfTar(tar), [tar], (root) => {
      expect(lstatSync(join(root, "a")).nlink).toBe(4);
      expect(lstatSync(root).nlink).toBe(3);
      expect(lstatSync(join(root, "h")).nlink).toBe(3);
      expect(lstatSync(join(root, "h")).ino).toBe(lstatSync(join(root, "a/b/g")).ino);
    });
  });

  it("finds every name of directories whose entries sort around dots, in any length and number", async () => {
    const rng = createRng(11);
    const early = ["!", "-", "+x", "..a", ".-", ".a", "...", "..-", "-.", "\udc80", "ü", "\uffff", "🦦", "\ue000"];
    const names = [
      ...early,
      ...Array.from({ length: 10_000 }, (_, at) => `${rng.int(1000)}${"x".repeat(rng.int(200))}${at}`),
    ];
    const nodes = [directory("d"), ...names.map((name) => file(`d/${name}`))];
    const tar = packTree(nodes);
    await mounted(treeOfTar(tar), [tar], (root) => {
      const found = readdirSync(Buffer.from(join(root, "d")), { encoding: "buffer" });
      expect(new Set(found.map(decodeName))).toEqual(new Set(names));
      for (const name of found) expect(lstatSync(Buffer.concat([Buffer.from(`${root}/d/`), name])).size).toBe(0);
      expect(() => lstatSync(join(root, "d", "no such name"))).toThrow("ENOENT");
    });
  });

  it("holds directories at each size around a block's border", async () => {
    const nodes: TreeNode[] = [];
    for (let size = 1; size < 60; size++) {
      nodes.push(directory(`d${size}`, { xattrs: { "user.x": Buffer.alloc(size * 3, 65) } }));
      for (let at = 10; at < 22; at++) nodes.push(symlink(`d${size}/${at}${"n".repeat(size)}`, "t".repeat(size * 2)));
    }
    expect(diffTrees(expectedTree([nodes]), await shown(nodes), { root: false })).toEqual([]);
  });

  it("gives each of 300 devices its own files", async () => {
    const tars = Array.from({ length: 300 }, (_, number) => packTree([file(`f${number}`, `content ${number}`)]));
    const trees = tars.map((tar, number) => treeOfTar(tar, number));
    const children = new Map(trees.flatMap(({ root }) => [...(root.children ?? [])]));
    const tree = { root: indexNode("directory", { children }), devices: trees.flatMap(({ devices }) => devices) };
    await mounted(tree, tars, (root) => {
      for (let number = 0; number < 300; number++) {
        expect(readFileSync(join(root, `f${number}`), "utf8")).toBe(`content ${number}`);
      }
    });
  });

  it("counts more than 65,535 links", async () => {
    const node = indexNode("file");
    const children = new Map(Array.from({ length: 70_000 }, (_, at): [string, IndexNode] => [String(at), node]));
    await mounted({ root: indexNode("directory", { children }), devices: [] }, [], (root) => {
      expect(lstatSync(join(root, "69999")).nlink).toBe(70_000);
    });
  });

  it("reads files of many GiB at any place, and holes as zeros", async () => {
    await using dir = await tempDir();
    const [index, data] = [join(dir.path, "index"), join(dir.path, "data")];
    const GIB = 2 ** 30;
    // Beyond what one chunk can hold, 1 TiB; holes cost nothing below.
    const size = 1024 * GIB + 5 * GIB + 3;
    const writer = openSync(data, "w");
    ftruncateSync(writer, 512 + size + 509);
    for (const at of [0, 5 * GIB - 1, 1024 * GIB - 2, size - 3]) writeSync(writer, Buffer.from("end"), 0, 3, 512 + at);
    closeSync(writer);
    const children = new Map([
      ["big", indexNode("file", { size, place: { device: 0, offset: 512 } })],
      ["hole", indexNode("file", { size: 3000 * GIB + 1 })],
      ["small hole", indexNode("file", { size: 5 })],
    ]);
    const devices = [{ size: 512 + size + 509, tag: "data" }];
    writeChunks(index, encodeErofs({ root: indexNode("directory", { children }), devices }, { uuid: UUID }));
    using mount = mountIndex(index, [data]);
    const read = (name: string, at: number): string => {
      const file = openSync(join(rootOf(mount), name), "r");
      try {
        const buffer = Buffer.alloc(3, 255);
        return buffer.toString("latin1", 0, readSync(file, buffer, 0, 3, at));
      } finally {
        closeSync(file);
      }
    };
    for (const at of [0, 5 * GIB - 1, 1024 * GIB - 2, size - 3]) expect(read("big", at)).toBe("end");
    expect(read("big", 3 * GIB)).toBe("\0\0\0");
    expect(read("big", size - 1)).toBe("d");
    expect(read("hole", 2999 * GIB)).toBe("\0\0\0");
    expect(read("hole", 3000 * GIB)).toBe("\0");
    expect(readFileSync(join(rootOf(mount), "small hole"))).toEqual(Buffer.alloc(5));
  });

  it("is mounted without any device, and with attributes that fill blocks", async () => {
    const xattrs = (count: number, size: number) =>
      new Map(Array.from({ length: count }, (_, at) => [`user.${at}`, new Uint8Array(size).fill(at)]));
    const children = new Map([
      ["many", indexNode("file", { xattrs: xattrs(100, 50) })],
      ["large", indexNode("directory", { xattrs: xattrs(3, 65_535) })],
      ["empty", indexNode("directory", { xattrs: new Map([["trusted.overlay.origin", new Uint8Array()]]) })],
      ["link", indexNode("symlink", { target: "x".repeat(300), xattrs: undefined })],
    ]);
    await mounted({ root: indexNode("directory", { children }), devices: [] }, [], async (root) => {
      const entries = new Map((await readTree(root)).map((entry) => [entry.path, entry]));
      expect(Object.keys(entries.get("many")?.xattrs ?? {})).toHaveLength(100);
      expect(entries.get("large")?.xattrs["user.2"]).toBe("02".repeat(65_535));
      expect(entries.get("empty")?.xattrs).toEqual({ "trusted.overlay.origin": "" });
      expect(entries.get("link")?.target).toBe("x".repeat(300));
    });
  });
});
