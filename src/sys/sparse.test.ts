import { closeSync, ftruncateSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { withoutFfi } from "./libc.ts";
import { dataExtents, punchHole } from "./sparse.ts";

const BLOCK = 65_536;
const TIB = 2 ** 40;

describe("holes", () => {
  it("are found between the data, at both ends, and in a TiB of nothing", async () => {
    await using dir = await tempDir();
    const fd = openSync(join(dir.path, "f"), "w+");
    expect([...dataExtents(fd, 0)]).toEqual([]);
    ftruncateSync(fd, TIB);
    expect([...dataExtents(fd, TIB)]).toEqual([]);
    writeSync(fd, Buffer.alloc(BLOCK, 1), 0, BLOCK, BLOCK);
    writeSync(fd, Buffer.alloc(BLOCK, 1), 0, BLOCK, TIB - 2 * BLOCK);
    expect([...dataExtents(fd, TIB)]).toEqual([
      { offset: BLOCK, length: BLOCK },
      { offset: TIB - 2 * BLOCK, length: BLOCK },
    ]);
    expect([...dataExtents(fd, BLOCK + 5)]).toEqual([{ offset: BLOCK, length: 5 }]);
    closeSync(fd);
  });

  it("are punched, and read as zeros", async () => {
    await using dir = await tempDir();
    const fd = openSync(join(dir.path, "f"), "w+");
    writeSync(fd, Buffer.alloc(4 * BLOCK, 1));
    const before = fstatSync(fd).blocks;
    expect(punchHole(fd, BLOCK - 1, 2 * BLOCK + 2)).toBe(true);
    expect(fstatSync(fd).size).toBe(4 * BLOCK);
    expect(fstatSync(fd).blocks).toBeLessThan(before);
    const edge = Buffer.alloc(4);
    readSync(fd, edge, 0, 4, BLOCK - 3);
    expect([...edge]).toEqual([1, 1, 0, 0]);
    expect(() => punchHole(fd, -1, 5)).toThrow(expect.objectContaining({ code: "EINVAL" }));
    closeSync(fd);
  });

  it("are not known without foreign calls: everything is data, nothing is punched", async () => {
    await using dir = await tempDir();
    using _off = withoutFfi();
    const fd = openSync(join(dir.path, "f"), "w+");
    ftruncateSync(fd, BLOCK);
    expect([...dataExtents(fd, BLOCK)]).toEqual([{ offset: 0, length: BLOCK }]);
    expect(punchHole(fd, 0, BLOCK)).toBe(false);
    closeSync(fd);
  });
});
