/** Each byte of an index may be an attacker's: reading ends, soon, with a tree or with INDEX_INVALID, and never with more than it holds. */
import { describe, expect, it } from "vitest";
import { randomIndex } from "../../../test/kit/erofs/random-index.ts";
import { indexNode } from "../../../test/kit/erofs/tree-of-tar.ts";
import { createRng, type Rng } from "../../../test/kit/images/rng.ts";
import { isVarveError, toError } from "../../errors/varve-error.ts";
import { superblockChecksum } from "./checksum.ts";
import { readErofs, type ReadErofsOptions } from "./reader.ts";
import type { IndexNode, IndexTree } from "./tree.ts";
import { encodeErofs } from "./writer.ts";

const UUID = Buffer.alloc(16, 1);
const SUPERBLOCK = 1024;
/** The root's inode, when there is one device. */
const ROOT = 1280;

function encode(tree: IndexTree): Buffer {
  return Buffer.concat([...encodeErofs(tree, { uuid: UUID, epoch: { seconds: 1, nanoseconds: 1 } })]);
}

/** Makes the checksum right again, so that what is broken is looked at. */
function seal(index: Buffer): Buffer {
  const sum = superblockChecksum(index.subarray(SUPERBLOCK, SUPERBLOCK + 512), 4);
  index.writeUInt32LE(sum, SUPERBLOCK + 4);
  return index;
}

/** A tree of known places: the root, then `dd`, `f`, `l` (a link to "target"), with `dd/g` one more name of `f`. */
function small(): Buffer {
  const f = indexNode("file", {
    size: 700,
    place: { device: 0, offset: 512 },
    xattrs: new Map([["user.k", new Uint8Array(3)]]),
  });
  const d = indexNode("directory", { children: new Map([["g", f]]) });
  const children = new Map<string, IndexNode>([
    ["dd", d],
    ["f", f],
    ["l", indexNode("symlink", { target: "target", size: 6 })],
  ]);
  return encode({ root: indexNode("directory", { children }), devices: [{ size: 4096, tag: "" }] });
}

function refusal(index: Buffer, options?: ReadErofsOptions): string {
  try {
    readErofs(index, options);
  } catch (error) {
    if (isVarveError(error, "INDEX_INVALID")) return error.message;
    throw error;
  }
  return "";
}

/** What is said when the small index is changed so. */
function changed(change: (index: Buffer) => void): string {
  const index = small();
  change(index);
  return refusal(seal(index));
}

/** Where in the index the inode of this name of the root is. */
function inodeOf(index: Buffer, name: string): number {
  const entries = ROOT + 64;
  for (let at = entries; at < entries + index.readUInt16LE(entries + 8); at += 12) {
    if (index.toString("latin1", entries + index.readUInt16LE(at + 8)).startsWith(name))
      return index.readUInt32LE(at) * 32;
  }
  throw new Error(`${name} is not there`);
}

const entry = (number: number) => ROOT + 64 + number * 12;

describe("an index that", () => {
  it("is sound is read", () => {
    expect(refusal(small())).toBe("");
  });

  it("is cut off anywhere is refused", () => {
    const index = small();
    for (let length = 0; length < index.length - 512; length += 7)
      expect(refusal(index.subarray(0, length))).not.toBe("");
  });

  it("is shorter than its size says is refused", () => {
    const index = small();
    const read = (position: number, length: number) => index.subarray(position, Math.min(position + length, 1400));
    expect(() => readErofs({ size: index.length, read })).toThrow("it is shorter than it was");
  });

  it.each<readonly [string, (index: Buffer) => void, string]>([
    ["is something else", (index) => index.writeUInt32LE(7, SUPERBLOCK), "it is no EROFS image"],
    ["has features of other images", (index) => index.writeUInt32LE(0x8c, SUPERBLOCK + 0x50), "unknown features (128)"],
    ["has larger blocks", (index) => (index[SUPERBLOCK + 0x0c] = 12), "its blocks are not of 512 bytes"],
    ["has larger blocks of directories", (index) => (index[SUPERBLOCK + 0x5a] = 3), "its blocks are not of 512 bytes"],
    ["has its devices elsewhere", (index) => index.writeUInt16LE(60_000, SUPERBLOCK + 0x58), "beyond its end"],
    ["counts devices that it has not", (index) => index.writeUInt16LE(65_535, SUPERBLOCK + 0x56), "beyond its end"],
    ["has its root elsewhere", (index) => index.writeUInt16LE(65_535, SUPERBLOCK + 0x0e), "beyond its end"],
    [
      "has a file as its root",
      (index) => index.writeUInt16LE(inodeOf(index, "f") / 32, SUPERBLOCK + 0x0e),
      "type is wrong",
    ],
    ["has its inodes elsewhere", (index) => index.writeUInt32LE(0xffffffff, SUPERBLOCK + 0x28), "beyond its end"],
    ["has a root of no type", (index) => index.writeUInt16LE(0o777, ROOT + 4), "an inode has no type"],
    ["has an unknown layout", (index) => index.writeUInt16LE(1 | (3 << 1), ROOT), "format is unknown"],
    ["has bits that newer kernels know", (index) => index.writeUInt16LE(5 | 16, ROOT), "format is unknown"],
    ["has a root that is endless", (index) => index.writeBigUInt64LE(2n ** 60n, ROOT + 8), "bytes"],
    ["has a root larger than itself", (index) => index.writeBigUInt64LE(2n ** 40n, ROOT + 8), "overlap"],
    ["has an empty root", (index) => index.writeBigUInt64LE(0n, ROOT + 8), 'no "." or no ".."'],
    ["has a root cut within an entry", (index) => index.writeBigUInt64LE(5n, ROOT + 8), "ends within an entry"],
    ["has a root cut within its names", (index) => index.writeBigUInt64LE(62n, ROOT + 8), "outside its block"],
    ["has data that crosses blocks", (index) => index.writeBigUInt64LE(508n, ROOT + 8), "crosses a block's border"],
    ["has no entries", (index) => index.writeUInt16LE(0, entry(0) + 8), "entries are none"],
    ["has odd entries", (index) => index.writeUInt16LE(61, entry(0) + 8), "entries are none"],
    ["has names before their time", (index) => index.writeUInt16LE(3, entry(2) + 8), "outside its block"],
    ["has names beyond the directory", (index) => index.writeUInt16LE(400, entry(2) + 8), "outside its block"],
    ["has names out of order", (index) => index.write("a", entry(0) + 65, "latin1"), "not in order"],
    ["has a name twice", (index) => index.write("f", entry(0) + 66, "latin1"), "not in order"],
    ["has a name with a slash", (index) => index.write("/", entry(0) + 63, "latin1"), "a name is none"],
    ["has a name with a NUL", (index) => index.write("\0", entry(0) + 64, "latin1"), "a name is none"],
    ["has its parent elsewhere", (index) => index.writeUInt32LE(inodeOf(index, "d") / 32, entry(1)), "leads elsewhere"],
    ["is not itself", (index) => index.writeUInt32LE(inodeOf(index, "d") / 32, entry(0)), "leads elsewhere"],
    ["calls a directory a file", (index) => (index[entry(2) + 10] = 1), "type is wrong"],
    ["has an entry of nothing", (index) => index.writeBigUInt64LE(2n ** 64n - 1n, entry(2)), "an entry is of no inode"],
    ["has a directory within itself", (index) => index.writeUInt32LE(ROOT / 32, entry(2)), "more names than it counts"],
    ["has a second name too many", (index) => index.writeUInt32LE(1, inodeOf(index, "f") + 0x2c), "more names"],
    ["has a name too few", (index) => index.writeUInt32LE(3, inodeOf(index, "f") + 0x2c), "fewer names"],
    ["has an inode without names", (index) => index.writeUInt32LE(0, inodeOf(index, "f") + 0x2c), "more names"],
    ["has a time that is none", (index) => index.writeUInt32LE(1e9, inodeOf(index, "f") + 0x28), "a time is none"],
    ["has a time without end", (index) => index.writeInt32LE(2 ** 30, inodeOf(index, "f") + 0x24), "a time is none"],
    [
      "has chunks of unknown form",
      (index) => index.writeUInt16LE(0x41, inodeOf(index, "f") + 0x10),
      "chunks are unknown",
    ],
    ["has more chunks than bytes", (index) => index.writeBigUInt64LE(2n ** 40n, inodeOf(index, "f") + 8), "overlap"],
    [
      "has a file in the index",
      (index) => index.writeUInt16LE(1, inodeOf(index, "f")),
      "a file's content is in the index",
    ],
    ["has a file beyond its device", (index) => index.writeUInt32LE(7, inodeOf(index, "f") + 92), "beyond its device"],
    [
      "has a file on no device",
      (index) => index.writeUInt16LE(0, inodeOf(index, "f") + 90),
      "on a device that is none",
    ],
    [
      "has a file on a device too many",
      (index) => index.writeUInt16LE(2, inodeOf(index, "f") + 90),
      "on a device that is none",
    ],
    ["has scattered files", (index) => index.writeUInt16LE(0x20, inodeOf(index, "f") + 0x10), "in several places"],
    ["has attributes without end", (index) => index.writeUInt16LE(65_535, inodeOf(index, "f") + 2), "overlap"],
    ["has attributes cut short", (index) => index.writeUInt16LE(2, inodeOf(index, "f") + 2), "cut short"],
    ["shares attributes with nobody", (index) => (index[inodeOf(index, "f") + 68] = 200), "cut short"],
    ["has an attribute of no namespace", (index) => (index[inodeOf(index, "f") + 77] = 9), "has no known name"],
    [
      "has an attribute that is an ACL's name and more",
      (index) => (index[inodeOf(index, "f") + 77] = 2),
      "no known name",
    ],
    ["has a link to nowhere", (index) => index.writeBigUInt64LE(0n, inodeOf(index, "l") + 8), "leads nowhere"],
    [
      "has a link to a path too long",
      (index) => index.writeBigUInt64LE(4096n, inodeOf(index, "l") + 8),
      "leads nowhere",
    ],
    ["has a link with a NUL", (index) => index.write("\0", inodeOf(index, "l") + 66), "leads nowhere"],
  ])("%s is refused", (_, change, words) => {
    expect(changed(change)).toContain(words);
  });

  it("has a wrong checksum is refused", () => {
    const index = small();
    index[SUPERBLOCK + 0x30] = 7;
    expect(refusal(index)).toContain("its checksum is wrong");
  });

  it("has more names than are wanted is refused", () => {
    expect(refusal(small(), { maxEntries: 3 })).toContain("more than 3 names");
    expect(refusal(small(), { maxEntries: 4 })).toBe("");
  });

  it("nests too deep is neither written nor read", () => {
    const deep = (depth: number): IndexTree => {
      let root = indexNode("directory");
      for (let at = 0; at < depth; at++) root = indexNode("directory", { children: new Map([["d", root]]) });
      return { root, devices: [] };
    };
    expect(() => encode(deep(4097))).toThrow("nested 4097 deep");
    expect(refusal(encode(deep(4096)))).toBe("");
  });

  it("uses the same attributes for many inodes is refused before they are many times its size", () => {
    const xattrs = new Map([["user.large", new Uint8Array(60_000)]]);
    const children = new Map<string, IndexNode>([["a", indexNode("fifo", { xattrs })]]);
    for (let at = 0; at < 1000; at++) children.set(`b${at}`, indexNode("fifo"));
    const index = encode({ root: indexNode("directory", { children }), devices: [] });
    // Inodes that overlap take what follows them as their attributes.
    for (let at = 0; at + 64 < index.length; at += 32) {
      if (index.readUInt16LE(at) === 1 && index.readUInt16LE(at + 4) === 0o010644) index.writeUInt16LE(14_000, at + 2);
    }
    expect(refusal(seal(index))).not.toBe("");
  });
});

function spoil(index: Buffer, rng: Rng): Buffer {
  const spoiled = Buffer.from(index);
  const used = Math.max(1536, index.length - 512);
  for (let change = rng.int(4); change >= 0; change--) {
    // Inodes and entries are where it hurts, so that most changes hit fields on their borders.
    const at = 1024 + (rng.chance(0.5) ? rng.int(used - 1024) : 4 * rng.int((used - 1024) / 4));
    const value = rng.pick([0, 1, 255, 2 ** rng.int(8), rng.int(256)]);
    if (rng.chance(0.2))
      spoiled.copy(spoiled, at, 1024 + 32 * rng.int((used - 1024) / 32), 1024 + rng.int(used - 1024));
    else spoiled[at] = value;
  }
  return seal(spoiled);
}

describe("a thousand spoiled indexes", () => {
  it.each([1, 2, 3, 4])("are read or refused, and what was read can be written (seed %i)", (seed) => {
    const rng = createRng(seed);
    let refused = 0;
    for (let round = 0; round < 25; round++) {
      const index = encode(randomIndex(rng.fork(), { size: 40 }));
      for (let turn = 0; turn < 40; turn++) {
        const spoiled = spoil(index, rng);
        try {
          const again = encode(readErofs(spoiled));
          expect(encode(readErofs(again)).equals(again)).toBe(true);
        } catch (error) {
          refused++;
          if (!isVarveError(error, "INDEX_INVALID"))
            throw new Error(`seed ${seed}: ${toError(error).stack}`, { cause: error });
        }
      }
    }
    expect(refused).toBeGreaterThan(300);
    expect(refused).toBeLessThan(1000);
  });
});
