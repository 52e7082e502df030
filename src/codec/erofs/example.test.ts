/** An index that `mkfs.erofs --tar=i` 1.9 made, byte by byte: what other people's tools write is what is read, and the other way round. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { indexNode } from "../../../test/kit/erofs/tree-of-tar.ts";
import { readErofs } from "./reader.ts";
import type { IndexNode, IndexTree } from "./tree.ts";
import { encodeErofs } from "./writer.ts";

const UUID = Buffer.from("00112233445566778899aabbccddeeff", "hex");

/** Offset and bytes; `(n)` stands for n zeros. */
const LINES: readonly (readonly [number, string])[] = [
  [0x400, "e2e1f5e0 4c3f0594 07000000 09 00 2800"],
  [0x410, "07(7) 00f15365(4) (4) 04(11)"],
  [0x430, "00112233445566778899aabbccddeeff"],
  [0x450, "08(3) (2) 0100 0900"],
  [0x4c0, "0e000000 04000000"],
  [0x500, "0400 0000 ff41 0300 35000000 (4) ffffffff 01(3) (8)"],
  [0x520, "28(7)3000 0200 28(7)3100 0200 2b(7)3300 0200 30(7)3400 0100"],
  [0x550, "2e2e2e 64 78"],
  [0x560, "0400 0000 ed41 0200 69000000 (4) ffffffff 02(3) (8)"],
  [0x580, "2b(7)5400 0200 28(7)5500 0200 33(7)5700 0100 36(7)5b00 0100 33(7)6000 0100 37(7)6400 0700 39(7)6700 0300"],
  [0x5d4, "2e2e2e 64617461 656d707479 68617264 73796d 7768"],
  [0x600, "0900 0300 a081 0000 03(7) 2000 0000 03(3) 70110100 05(3) 02f15365(4) (4) 01(3) (16)"],
  [0x640, "ffbfffff 00 (7) 01 01 0200 6b 7631 00"],
  [0x658, "0000 0100 0b000000"],
  [0x660, "0900 0000 a481 0000 bc02(6) 2100 0000 04(3) e803(2) e803(2) 01f15365(4) (4) 02(3) (16)"],
  [0x6a0, "0000 0100 02000000"],
  [0x6c0, "0000 0000 8081 0100 (12) 05(3) (8)"],
  [0x6e0, "0400 0000 ffa1 0100 04(3) (4) ffffffff 06(3) (8) 64617461"],
  [0x720, "0000 0000 0020 0100 (12) 07(3) (8)"],
];

function madeByMkfs(): Buffer {
  const index = Buffer.alloc(2048);
  for (const [offset, text] of LINES) {
    const hex = text.replace(/\((\d+)\)/g, (_, zeros: string) => "00".repeat(Number(zeros)));
    Buffer.from(hex.replaceAll(" ", ""), "hex").copy(index, offset);
  }
  return index;
}

function expected(): IndexTree {
  const at = (seconds: number) => ({ modifiedAt: { seconds: 1_700_000_000 + seconds, nanoseconds: 0 } });
  const data = indexNode("file", { uid: 1000, gid: 1000, size: 700, place: { device: 0, offset: 1024 }, ...at(1) });
  const d = indexNode("directory", {
    ...at(0),
    children: new Map<string, IndexNode>([
      ["data", data],
      ["empty", indexNode("file", { mode: 0o600, ...at(0) })],
      ["hard", data],
      ["sym", indexNode("symlink", { target: "data", size: 4, ...at(0) })],
      ["wh", indexNode("char", { mode: 0, ...at(0) })],
    ]),
  });
  const x = indexNode("file", {
    mode: 0o640,
    uid: 70_000,
    gid: 5,
    size: 3,
    place: { device: 0, offset: 11 * 512 },
    xattrs: new Map([["user.k", new Uint8Array(Buffer.from("v1"))]]),
    ...at(2),
  });
  const children = new Map<string, IndexNode>([
    ["d", d],
    ["x", x],
  ]);
  return {
    root: indexNode("directory", { mode: 0o777, children, ...at(0) }),
    devices: [{ size: 14 * 512, tag: "" }],
  };
}

describe("an index made by mkfs.erofs", () => {
  it("is the one that was published", () => {
    const sum = createHash("sha256").update(madeByMkfs()).digest("hex");
    expect(sum).toBe("f84def065ee951b35d36b885b38591b887851d90ba8f18f986c2de011d968dcc");
  });

  it("reads as the tree that it was made of, hard links as one node", () => {
    const tree = readErofs(madeByMkfs());
    expect(tree).toEqual(expected());
    const d = tree.root.children?.get("d")?.children;
    expect(d?.get("hard")).toBe(d?.get("data"));
  });

  it("reads the same from a file's bytes as they are asked for", () => {
    const bytes = madeByMkfs();
    const read = (position: number, length: number) => bytes.subarray(position, position + length);
    expect(readErofs({ size: bytes.length, read })).toEqual(expected());
  });

  it("reads attributes that several inodes share, which lie elsewhere", () => {
    const index = madeByMkfs();
    // One shared attribute instead of the one behind the inode of `x`, then four zeros, which are none.
    index[0x644] = 1;
    index.fill(0, 0x64c, 0x654).writeUInt32LE(0x7c0 / 4, 0x64c);
    index.write("\x06\x04\x03\0shared123", 0x7c0, "latin1");
    const xattrs = new Map([["trusted.shared", new Uint8Array(Buffer.from("123"))]]);
    expect(readErofs(index).root.children?.get("x")?.xattrs).toEqual(xattrs);
    index.write("\x06\x09", 0x7c0, "latin1");
    expect(() => readErofs(index)).toThrow("an extended attribute has no known name");
    index.writeUInt32LE(0x3ffffff, 0x64c);
    expect(() => readErofs(index)).toThrow("beyond its end");
    index.writeUInt32LE(0x7c4 / 4 + 4, 0x64c);
    expect(() => readErofs(index)).toThrow("a shared extended attribute is none");
  });
});

describe("an index of the same tree made here", () => {
  it("reads as the same tree", () => {
    expect(readErofs(Buffer.concat([...encodeErofs(expected(), { uuid: UUID })]))).toEqual(expected());
  });

  it("has the superblock, the device and the inodes of mkfs.erofs, but for its features and the order", () => {
    const theirs = madeByMkfs();
    const ours = Buffer.concat([...encodeErofs(expected(), { uuid: UUID })]);
    const field = (bytes: Buffer, from: number, length: number) => bytes.toString("hex", from, from + length);
    expect(field(ours, 0x410, 0x40)).toBe(field(theirs, 0x410, 0x40));
    expect(field(ours, 0x450, 0x0c)).toBe("0c0000000000010009000000");
    expect(field(ours, 0x480, 128)).toBe(field(theirs, 0x480, 128));
    // The inode of `data` is found by its size; serial numbers differ.
    const inode = (bytes: Buffer) => bytes.indexOf("bc02000000000000210000", 0, "hex") - 8;
    expect(field(ours, inode(ours), 0x14)).toBe(field(theirs, 0x660, 0x14));
    expect(field(ours, inode(ours) + 0x18, 0x30)).toBe(field(theirs, 0x678, 0x30));
  });
});
