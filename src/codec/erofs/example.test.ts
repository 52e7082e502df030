/** An index that `mkfs.erofs --tar=i` 1.9 made, byte by byte: what other people's tools write is what is read, and the other way round. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { EXAMPLE_UUID, exampleIndex, exampleTree } from "../../../test/kit/erofs/example.ts";
import { readErofs } from "./reader.ts";
import { encodeErofs } from "./writer.ts";

describe("an index made by mkfs.erofs", () => {
  it("is the one that was published", () => {
    const sum = createHash("sha256").update(exampleIndex()).digest("hex");
    expect(sum).toBe("f84def065ee951b35d36b885b38591b887851d90ba8f18f986c2de011d968dcc");
  });

  it("reads as the tree that it was made of, hard links as one node", () => {
    const tree = readErofs(exampleIndex());
    expect(tree).toEqual(exampleTree());
    const d = tree.root.children?.get("d")?.children;
    expect(d?.get("hard")).toBe(d?.get("data"));
  });

  it("reads the same from a file's bytes as they are asked for", () => {
    const bytes = exampleIndex();
    const read = (position: number, length: number) => bytes.subarray(position, position + length);
    expect(readErofs({ size: bytes.length, read })).toEqual(exampleTree());
  });

  it("reads attributes that several inodes share, which lie elsewhere", () => {
    const index = exampleIndex();
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
    expect(readErofs(Buffer.concat([...encodeErofs(exampleTree(), { uuid: EXAMPLE_UUID })]))).toEqual(exampleTree());
  });

  it("has the superblock, the device and the inodes of mkfs.erofs, but for its features and the order", () => {
    const theirs = exampleIndex();
    const ours = Buffer.concat([...encodeErofs(exampleTree(), { uuid: EXAMPLE_UUID })]);
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
