/** An index that `mkfs.erofs --tar=i` of erofs-utils 1.9 made of a small tar, byte by byte. */
import type { IndexNode, IndexTree } from "../../../src/codec/erofs/tree.ts";
import { indexNode } from "./tree-of-tar.ts";

export const EXAMPLE_UUID: Uint8Array = Buffer.from("00112233445566778899aabbccddeeff", "hex");

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

/** 2048 bytes. */
export function exampleIndex(): Buffer {
  const index = Buffer.alloc(2048);
  for (const [offset, text] of LINES) {
    const hex = text.replace(/\((\d+)\)/g, (_, zeros: string) => "00".repeat(Number(zeros)));
    Buffer.from(hex.replaceAll(" ", ""), "hex").copy(index, offset);
  }
  return index;
}

/** The tree that it is of. */
export function exampleTree(): IndexTree {
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

/** The tar, as far as the index leads to it: what lies in the two files. */
export function exampleDevice(): Buffer {
  const tar = Buffer.alloc(14 * 512);
  for (let index = 0; index < 700; index++) tar[1024 + index] = 7 * index + 3;
  tar.write("xyz", 11 * 512);
  return tar;
}
