/** Trees that no index can be made of: refused before the first byte, by code, so that a driver knows whether another one may do. */
import { describe, expect, it } from "vitest";
import { indexNode } from "../../../test/kit/erofs/tree-of-tar.ts";
import type { ErrorCode } from "../../errors/table.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import type { IndexDevice, IndexNode } from "./tree.ts";
import { encodeErofs } from "./writer.ts";

const TIB = 2 ** 40;
const DEVICE: IndexDevice = { size: 4096, tag: "" };

/** What comes of a tree whose root has these children. */
function outcome(children: readonly (readonly [string, IndexNode])[], devices = [DEVICE], uuid = new Uint8Array(16)) {
  const root = indexNode("directory", { children: new Map(children) });
  try {
    const { value } = encodeErofs({ root, devices }, { uuid }).next();
    return value === undefined ? "nothing" : "written";
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

const file = (size: number, offset: number, device = 0) => indexNode("file", { size, place: { device, offset } });
const holds = (node: IndexNode, devices?: IndexDevice[]) => outcome([["x", node]], devices);

function nested(): IndexNode {
  const directory = indexNode("directory");
  directory.children?.set("again", directory);
  return directory;
}

describe("an index is refused", () => {
  it.each<readonly [string, () => string, ErrorCode, string]>([
    ["a name that is empty", () => outcome([["", indexNode("fifo")]]), "INDEX_INVALID", "a name is empty"],
    ["a name with a slash", () => outcome([["a/b", indexNode("fifo")]]), "INDEX_INVALID", '"a/b" is not a name'],
    ["a name with a NUL", () => outcome([["a\0", indexNode("fifo")]]), "INDEX_INVALID", "is not a name"],
    ["a child called dot", () => outcome([[".", indexNode("fifo")]]), "INDEX_INVALID", 'called "."'],
    ["a child called dots", () => outcome([["..", indexNode("directory")]]), "INDEX_INVALID", 'called "."'],
    ["256 bytes of name", () => outcome([["ü".repeat(128), indexNode("fifo")]]), "LAYER_LIMIT", "has 256 bytes"],
    [
      "two names of the same bytes",
      () =>
        outcome([
          ["ü", indexNode("fifo")],
          ["\udcc3\udcbc", indexNode("fifo")],
        ]),
      "INDEX_INVALID",
      '"ü" is there twice',
    ],
    ["a name of no bytes", () => outcome([["\udcc3\udcbc", indexNode("fifo")]]), "INDEX_INVALID", "other bytes"],
    ["a lone surrogate", () => outcome([["\ud800", indexNode("fifo")]]), "PATH_INVALID", "U+D800"],
    ["a directory in itself", () => holds(nested()), "INDEX_INVALID", "has a second name"],
    [
      "a directory without children",
      () => holds(indexNode("directory", { children: undefined })),
      "INDEX_INVALID",
      "list",
    ],
    ["a link to nothing", () => holds(indexNode("symlink", { target: "" })), "INDEX_INVALID", "leads nowhere"],
    ["a link without target", () => holds(indexNode("symlink")), "INDEX_INVALID", "leads nowhere"],
    ["a link with a NUL", () => holds(indexNode("symlink", { target: "a\0" })), "INDEX_INVALID", "leads nowhere"],
    [
      "a link of 4096 bytes",
      () => holds(indexNode("symlink", { target: "t".repeat(4096) })),
      "LAYER_LIMIT",
      "4096 bytes",
    ],
    ["a mode with a type", () => holds(indexNode("fifo", { mode: 0o10644 })), "INDEX_INVALID", "a mode is"],
    ["an owner below zero", () => holds(indexNode("fifo", { uid: -1 })), "INDEX_INVALID", "an owner is -1:0"],
    ["an owner of 33 bits", () => holds(indexNode("fifo", { gid: 2 ** 32 })), "INDEX_INVALID", "an owner is"],
    [
      "nanoseconds of a second",
      () => holds(indexNode("fifo", { modifiedAt: { seconds: 0, nanoseconds: 1e9 } })),
      "INDEX_INVALID",
      "a time is",
    ],
    ["half a byte", () => holds(indexNode("file", { size: 0.5 })), "INDEX_INVALID", "0.5 bytes"],
    ["more than 16 TiB", () => holds(indexNode("file", { size: 16 * TIB + 1 })), "LAYER_LIMIT", "are the most"],
    ["a device that is none", () => holds(file(1, 0, 1)), "INDEX_INVALID", "on device 1 of 1"],
    ["a start within a block", () => holds(file(1, 100)), "INDEX_INVALID", "begins at byte 100"],
    ["a start before the device", () => holds(file(1, -512)), "INDEX_INVALID", "begins at byte -512"],
    ["an end beyond the device", () => holds(file(513, 3584)), "INDEX_INVALID", "ends at byte 4097"],
    [
      "a start beyond 2 TiB",
      () => holds(file(1, 2 * TIB - 512), [{ size: 3 * TIB, tag: "" }]),
      "LAYER_LIMIT",
      "beyond the first 2 TiB",
    ],
    [
      "a second chunk beyond 2 TiB",
      () => holds(file(1.5 * TIB, TIB), [{ size: 3 * TIB, tag: "" }]),
      "LAYER_LIMIT",
      "beyond the first 2 TiB",
    ],
    ["a device's number of 13 bits", () => holds(indexNode("char", { deviceMajor: 4096 })), "LAYER_LIMIT", "4096:0"],
    ["a device's tag of 65 bytes", () => outcome([], [{ size: 0, tag: "t".repeat(65) }]), "INDEX_INVALID", "no tag"],
    ["a device without size", () => outcome([], [{ size: Number.NaN, tag: "" }]), "INDEX_INVALID", "has NaN bytes"],
    [
      "more devices than the root's number allows",
      () =>
        outcome(
          [],
          Array.from({ length: 16_001 }, () => DEVICE),
        ),
      "LAYER_LIMIT",
      "16001 devices",
    ],
    ["a short uuid", () => outcome([], [], new Uint8Array(15)), "INDEX_INVALID", "uuid has 15 bytes"],
  ])("%s", (_, attempt, code, words) => {
    expect(attempt()).toContain(`${code}: `);
    expect(attempt()).toContain(words);
  });

  it("only for what it is about: the extremes go in", () => {
    expect(outcome([["ü".repeat(127), indexNode("symlink", { target: "t".repeat(4095) })]])).toBe("written");
    expect(holds(indexNode("file", { size: 16 * TIB }))).toBe("written");
    expect(holds(file(TIB, 2 * TIB - 1024), [{ size: 4 * TIB, tag: "" }])).toBe("written");
    expect(holds(file(512, 3584))).toBe("written");
    expect(holds(indexNode("block", { deviceMajor: 4095, deviceMinor: 2 ** 20 - 1 }))).toBe("written");
    expect(
      outcome(
        [],
        Array.from({ length: 16_000 }, () => DEVICE),
      ),
    ).toBe("written");
  });
});
