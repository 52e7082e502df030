/** What copies do when system calls fail: the old file or the new one, never a part; and no error that tells of the disk is lost. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { failingCalls, failure, shortCalls, type Errno } from "../../test/kit/disk/failing-calls.ts";
import { allocated, KIB, makeSparse, mapOf, MIB, type Written } from "../../test/kit/disk/sparse-file.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { ErrorCode } from "../errors/table.ts";
import { UNSHARED } from "../sys/reflink.ts";
import { withoutFfi } from "../sys/libc.ts";
import { COPY_CALLS, type CopyCalls } from "./copy-calls.ts";
import { copyDisk, type DiskCopyOptions } from "./copy.ts";
import type { DiskCopy } from "./copy-report.ts";

const SIZE = 6 * MIB;

/** 4 KiB each 12. */
const SMALL_RUNS = Array.from({ length: 100 }, (_, index): Written => [index * 12 * KIB, 4 * KIB]);

interface Bench extends AsyncDisposable {
  readonly from: string;
  readonly to: string;
  copy(calls: CopyCalls, options?: DiskCopyOptions): Promise<DiskCopy>;
  /** Neither a new file nor anything else. */
  expectAsBefore(): void;
}

async function bench(): Promise<Bench> {
  const dir = await tempDir();
  const [from, to] = [join(dir.path, "source"), join(dir.path, "target")];
  makeSparse(from, SIZE, [
    [64 * KIB, 2 * MIB],
    [4 * MIB, MIB, "zeros"],
  ]);
  return {
    from,
    to,
    copy: (calls, options) => copyDisk(from, to, { sync: false, ...options }, calls),
    expectAsBefore: () => expect(readdirSync(dir.path)).toEqual(["source"]),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

const FATAL: readonly (readonly [keyof CopyCalls, Errno, number, ErrorCode])[] = [
  ["sync", "EIO", 1, "IO"],
  ["tellsHoles", "EIO", 1, "IO"],
  ["dataExtents", "EIO", 1, "IO"],
  ["reflink", "EIO", 1, "IO"],
  ["reflink", "ENOSPC", 1, "NO_SPACE"],
  ["reflink", "EDQUOT", 1, "NO_SPACE"],
  ["read", "EIO", 1, "IO"],
  ["read", "EIO", 3, "IO"],
  ["write", "ENOSPC", 1, "NO_SPACE"],
  ["write", "ENOSPC", 2, "NO_SPACE"],
  ["write", "EDQUOT", 2, "NO_SPACE"],
  ["write", "EIO", 1, "IO"],
  ["write", "EFBIG", 1, "IO"],
];

describe("a copy of which a call fails", () => {
  it.each(FATAL)("(%s with %s, call %i) fails with %4$s and leaves nothing", async (name, errno, nth, code) => {
    await using place = await bench();
    await expect(place.copy(failingCalls(name, errno, nth))).rejects.toMatchObject({ code });
    place.expectAsBefore();
  });

  it.each<[Errno, ErrorCode]>([
    ["ENOSPC", "NO_SPACE"],
    ["EDQUOT", "NO_SPACE"],
    ["EIO", "IO"],
  ])("says %s of writing out, and leaves what was there", async (errno, code) => {
    await using place = await bench();
    const old = "old";
    writeFileSync(place.to, old);
    // The first is the source's.
    const failed = place.copy(failingCalls("sync", errno, 2), { sync: true });
    await expect(failed).rejects.toMatchObject({ code, message: expect.stringContaining("written out") as string });
    expect(readFileSync(place.to, "utf8")).toBe(old);
  });

  it("reports that it cannot be read back", async () => {
    await using place = await bench();
    await expect(place.copy(failingCalls("read", "EIO", 5), { verify: true })).rejects.toMatchObject({ code: "IO" });
    place.expectAsBefore();
  });

  it.each<[Errno, ErrorCode]>([
    ["ENOSPC", "NO_SPACE"],
    ["EIO", "IO"],
  ])("(a small write, with %s) fails with %s and leaves nothing", async (errno, code) => {
    await using place = await bench();
    makeSparse(place.from, SIZE, SMALL_RUNS);
    await expect(place.copy(failingCalls("writeNow", errno, 20))).rejects.toMatchObject({ code });
    place.expectAsBefore();
  });

  it("asks the copy for its holes too when it compares", async () => {
    await using place = await bench();
    const failing = failingCalls("dataExtents", "EIO", 2);
    await expect(place.copy(failing, { verify: true })).rejects.toMatchObject({ code: "IO" });
    place.expectAsBefore();
  });

  it("says so where a file in place is left in part", async () => {
    await using place = await bench();
    makeSparse(place.to, SIZE, [[0, SIZE]]);
    const said: string[] = [];
    const failed = place.copy(failingCalls("write", "EIO", 1), {
      inPlace: true,
      onProgress: (event) => void (event.type === "warning" && said.push(event.message)),
    });
    await expect(failed).rejects.toMatchObject({ code: "IO" });
    expect(said).toEqual([expect.stringContaining("in part")]);
  });
});

describe("a copy goes on", () => {
  it.each(["read", "write"] as const)("after a signal within %s", async (name) => {
    await using place = await bench();
    await place.copy(failingCalls(name, "EINTR", 2, 3), { verify: true });
  });

  it("after signals within small writes, and when those do less than they were asked for", async () => {
    await using place = await bench();
    makeSparse(place.from, SIZE, SMALL_RUNS);
    const short = shortCalls(1000);
    const interrupted = failingCalls("writeNow", "EINTR", 2, 3);
    let calls = 0;
    const mixed: CopyCalls = {
      ...short,
      writeNow: (...args) => (calls++ < 9 ? interrupted : short).writeNow(...args),
    };
    await place.copy(mixed, { verify: true });
    expect(mapOf(place.to)).toEqual(mapOf(place.from));
  });

  it.each([1 * KIB, 4095, 300_001])("when at most %i bytes are read and written at once", async (most) => {
    await using place = await bench();
    await place.copy(shortCalls(most), { sparse: "always" });
    expect(readFileSync(place.to).equals(readFileSync(place.from))).toBe(true);
    expect(allocated(place.to)).toBeLessThanOrEqual(2 * MIB + 64 * KIB);
  });

  it.each<Errno>(["EINVAL", "EROFS", "ENOSYS"])("when the source cannot be synced (%s)", async (errno) => {
    await using place = await bench();
    await place.copy(failingCalls("sync", errno, 1, 1), { verify: true });
  });

  it("without sharing where the errors say that it cannot be, and nowhere else", () => {
    const unsupported = "ENOSYS ENOTTY EOPNOTSUPP ENOTSUP EINVAL EBADF EXDEV ETXTBSY EPERM EACCES".split(" ");
    expect([...UNSHARED].sort()).toEqual(unsupported.sort());
  });
});

describe("where holes are not told of, or wrongly", () => {
  const ZFS = 0x2fc12fc1;
  const cases: readonly (readonly [string, CopyCalls])[] = [
    ["nobody tells", { ...COPY_CALLS, tellsHoles: () => false }],
    ["all is said to be data", { ...COPY_CALLS, dataExtents: (_, size) => [{ offset: 0, length: size }] }],
    [
      "a file system says so that is not believed",
      { ...COPY_CALLS, fileSystem: () => Promise.resolve(ZFS), dataExtents: () => [] },
    ],
  ];

  it.each(cases)("(%s) all is read, and zeros become holes", async (_, calls) => {
    await using place = await bench();
    const report = await place.copy(calls);
    expect(readFileSync(place.to).equals(readFileSync(place.from))).toBe(true);
    expect(report).toMatchObject({ holesBy: "search", copiedBytes: 2 * MIB, warnings: [] });
    expect(allocated(place.to)).toBeLessThanOrEqual(2 * MIB + 64 * KIB);
  });

  it("the same holds without foreign calls, in place too, and then it is said", async () => {
    await using place = await bench();
    using _off = withoutFfi();
    const report = await place.copy(COPY_CALLS, { verify: true, sync: true });
    expect(report).toMatchObject({ holesBy: "search", copiedBytes: 2 * MIB, warnings: [] });
    makeSparse(place.to, SIZE + 5, [[0, SIZE + 5]]);
    const updated = await place.copy(COPY_CALLS, { inPlace: true, verify: true });
    expect(updated.warnings).toEqual([expect.stringContaining("no holes could be made")]);
    expect(readFileSync(place.to).equals(readFileSync(place.from))).toBe(true);
  });
});

describe("a target that keeps no holes", () => {
  it("is said to take more than the data", async () => {
    await using place = await bench();
    // As a file system does that gives every byte its space.
    const dense: CopyCalls = {
      ...COPY_CALLS,
      freeSpace: () => Promise.resolve(undefined),
      write: async (file, ...rest) => {
        await COPY_CALLS.allocate(file, 0, SIZE);
        return COPY_CALLS.write(file, ...rest);
      },
    };
    const { warnings, allocatedBytes } = await place.copy(dense);
    expect(allocatedBytes).toBeGreaterThanOrEqual(SIZE);
    expect(warnings).toEqual([expect.stringContaining("keeps no holes")]);
  });

  it("has to have room for all of it", async () => {
    await using place = await bench();
    const FAT = 0x4d44;
    const calls = (fileSystem: number): CopyCalls => ({
      ...COPY_CALLS,
      fileSystem: () => Promise.resolve(fileSystem),
      freeSpace: () => Promise.resolve(4 * MIB),
    });
    await expect(place.copy(calls(FAT))).rejects.toMatchObject({ code: "NO_SPACE" });
    expect(existsSync(place.to)).toBe(false);
    await place.copy(calls(0));
  });
});

describe("room for the data", () => {
  const roomFor = (bytes: number): CopyCalls => ({ ...COPY_CALLS, freeSpace: () => Promise.resolve(bytes) });

  it("is asked for before anything is written", async () => {
    await using place = await bench();
    const calls: CopyCalls = { ...roomFor(2.5 * MIB), write: () => Promise.reject(failure("EIO")) };
    const refused = place.copy(calls);
    await expect(refused).rejects.toMatchObject({ code: "NO_SPACE", detail: { needed: 3 * MIB } });
    place.expectAsBefore();
  });

  it("is that for what is no zeros, when those become holes", async () => {
    await using place = await bench();
    await place.copy(roomFor(2.5 * MIB), { sparse: "always" });
    expect(mapOf(place.to)).toEqual([{ offset: 64 * KIB, length: 2 * MIB }]);
    await expect(place.copy(roomFor(1.5 * MIB), { sparse: "always" })).rejects.toMatchObject({ code: "NO_SPACE" });
  });

  it("is that for all of it, when there are to be no holes, less what a file in place has", async () => {
    await using place = await bench();
    await expect(place.copy(roomFor(5 * MIB), { sparse: "never" })).rejects.toMatchObject({ code: "NO_SPACE" });
    await expect(place.copy(failingCalls("allocate", "ENOSPC"), { sparse: "never" })).rejects.toMatchObject({
      code: "NO_SPACE",
    });
    place.expectAsBefore();
    makeSparse(place.to, 2 * MIB, [[0, 2 * MIB]]);
    await place.copy(roomFor(5 * MIB), { sparse: "never", inPlace: true });
    expect(allocated(place.to)).toBeGreaterThanOrEqual(SIZE);
  });
});
