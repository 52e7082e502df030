import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { joined, memoryTar, pieceOf } from "../../../test/kit/layer/memory-tar.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { concatTars } from "./concat-tars.ts";
import { FileTar } from "./file-tar.ts";
import type { SeekableTar } from "./seekable-tar.ts";

const anyTars = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 7 });

describe("tars that follow each other", () => {
  it("read as one, wherever a read begins and ends", async () => {
    await fc.assert(
      fc.asyncProperty(anyTars, async (contents) => {
        const whole = Buffer.concat(contents);
        await using tar = concatTars(contents.map((content) => memoryTar(content)));
        expect(tar.size).toBe(whole.length);
        for (let start = 0; start <= whole.length; start++) {
          for (let end = start; end <= whole.length; end++) {
            const expected = whole.subarray(start, end);
            expect((await pieceOf(tar, start, end - start)).equals(expected)).toBe(true);
            expect(joined(tar.parts(start, end - start)).equals(expected)).toBe(true);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("are counted beyond 4 GiB", async () => {
    const GIB = 2 ** 30;
    const asked: [number, number, number][] = [];
    const tars = [5 * GIB, 0, 7 * GIB + 3, 2 ** 45].map((size, number): SeekableTar => ({
      size,
      read: async (into, position) => void asked.push([number, position, into.length]),
      *parts(start, length) {
        yield { kind: "file", path: String(number), start, length };
      },
      [Symbol.asyncDispose]: async () => {},
    }));
    await using tar = concatTars(tars);
    expect(tar.size).toBe(12 * GIB + 3 + 2 ** 45);
    await tar.read(new Uint8Array(2), 5 * GIB - 1);
    await tar.read(new Uint8Array(1), 5 * GIB);
    await tar.read(new Uint8Array(4), 12 * GIB + 1);
    await tar.read(new Uint8Array(1), tar.size - 1);
    expect(asked).toEqual([
      [0, 5 * GIB - 1, 1],
      [2, 0, 1],
      [2, 0, 1],
      [2, 7 * GIB + 1, 2],
      [3, 0, 2],
      [3, 2 ** 45 - 1, 1],
    ]);
    expect([...tar.parts(0, tar.size)].map((part) => part.kind === "file" && part.length)).toEqual([
      5 * GIB,
      7 * GIB + 3,
      2 ** 45,
    ]);
  });

  it("refuse what lies beyond their end, and fail as the one that is read does, when all reads have ended", async () => {
    let reading = 0;
    const slow: SeekableTar = {
      ...memoryTar(Buffer.from("slow")),
      async read() {
        reading++;
        await new Promise((resolve) => setImmediate(resolve));
        reading--;
      },
    };
    const broken: SeekableTar = {
      ...memoryTar(Buffer.from("gone")),
      read: () => Promise.reject(new VarveError("SOURCE_CHANGED", "gone")),
    };
    await using tar = concatTars([broken, slow]);
    await expect(tar.read(new Uint8Array(8), 0)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    expect(reading).toBe(0);
    await expect(tar.read(new Uint8Array(2), 7)).rejects.toThrow("8 were asked for");
    await expect(concatTars([]).read(new Uint8Array(1), 0)).rejects.toThrow("0 were asked for");
  });

  it("are all closed, also when one cannot be", async () => {
    let closed = 0;
    const closing = (fails: boolean): SeekableTar => ({
      ...memoryTar(Buffer.alloc(1)),
      async [Symbol.asyncDispose]() {
        closed++;
        if (fails) throw new Error("stuck");
      },
    });
    const tar = concatTars([closing(false), closing(true), closing(false)]);
    await expect(tar[Symbol.asyncDispose]()).rejects.toThrow("stuck");
    expect(closed).toBe(3);
  });
});

describe("a tar that is a file", () => {
  it("is read at any place, by many at once", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "tar");
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, at) => at % 251));
    await writeFile(path, bytes);
    await using tar = await FileTar.open(path);
    await Promise.all(
      Array.from({ length: 200 }, async (_, at) => {
        expect((await pieceOf(tar, at * 7, 1000)).equals(bytes.subarray(at * 7, at * 7 + 1000))).toBe(true);
      }),
    );
    expect((await pieceOf(tar, 5000, 0)).length).toBe(0);
    expect(joined(tar.parts(4999, 1)).equals(bytes.subarray(4999))).toBe(true);
  });

  it("is noticed to end early, and is nothing but a file", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "tar");
    await writeFile(path, "four");
    await using tar = await FileTar.open(path);
    await expect(tar.read(new Uint8Array(3), 2)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    await expect(FileTar.open(dir.path)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    await expect(FileTar.open("/proc/self/exe")).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    await expect(FileTar.open(join(dir.path, "none"))).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });
});
