/** The test matrix for sparse files (sparse-files, 7): shapes and modes on one file system. */
import { closeSync, fsyncSync, openSync, readdirSync, statfsSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyDisk, type DiskCopyOptions } from "../../../src/disk/copy.ts";
import { findPeer } from "../peers.ts";
import { runOk } from "../peers/run.ts";
import { tempDir, type TempDir } from "../temp-dir.ts";
import { DISK_FILE_SYSTEMS, type DiskFileSystem } from "./file-systems.ts";
import { allocated, haveSameBytes, KIB, makeSparse, mapOf, MIB, type Written } from "./sparse-file.ts";

const TIB = 2 ** 40;
const BLOCK = 4 * KIB;

interface Shape {
  readonly name: string;
  readonly size: number;
  readonly written?: readonly Written[];
}

/** `count` times data and a hole, both of this many blocks. */
function alternating(blocks: number, count: number): Shape {
  const run = blocks * BLOCK;
  const written = Array.from({ length: count }, (_, index): Written => [2 * index * run, run]);
  return { name: `${count} runs of ${blocks} blocks`, size: 2 * count * run, written };
}

/** A run of `blocks` blocks every so many KiB. */
function stepping(step: number, blocks: number, count: number): Shape {
  const written = Array.from({ length: count }, (_, index): Written => [index * step * KIB, blocks * BLOCK]);
  return { name: `${count} runs of ${blocks} blocks, each ${step} KiB`, size: count * step * KIB, written };
}

const SHAPES: readonly Shape[] = [
  { name: "nothing", size: 0 },
  { name: "one byte", size: 1, written: [[0, 1]] },
  { name: "a hole", size: 8 * MIB },
  { name: "a hole of a TiB", size: TIB },
  { name: "a hole of a TiB with data at its end", size: TIB, written: [[TIB - BLOCK, BLOCK]] },
  { name: "a leading hole", size: 4 * MIB, written: [[3 * MIB, MIB]] },
  { name: "a trailing hole", size: 4 * MIB, written: [[0, MIB]] },
  { name: "holes at both ends", size: 4 * MIB, written: [[MIB, MIB]] },
  { name: "a hole and a byte behind it", size: 4 * MIB + 1, written: [[4 * MIB, 1]] },
  { name: "128 KiB and a byte", size: 128 * KIB + 1, written: [[0, 128 * KIB + 1]] },
  { name: "data that begins and ends within blocks", size: 3 * MIB, written: [[MIB - 7, MIB + 20]] },
  { name: "more than a piece", size: 3 * MIB + 5, written: [[0, 3 * MIB + 5]] },
  ...[1, 2, 4, 11, 32, 128].map((blocks) => alternating(blocks, 8)),
  ...[1, 2, 31].map((blocks) => stepping(400, blocks, 12)),
  stepping(2048, 100, 4),
];

const DENSE_ZEROS: Shape = { name: "zeros", size: 4 * MIB, written: [[0, 4 * MIB, "zeros"]] };

/** @param wanted those of the known file systems that are tested here; in files of their own they are tested side by side */
export function testCopies(wanted: (system: DiskFileSystem) => boolean): void {
  describe.each(DISK_FILE_SYSTEMS.filter(wanted))("copies on $name", (system) => {
    copiesOn(system);
  });
}

function copiesOn(system: DiskFileSystem): void {
  const { missing, shares } = system;
  const unusable = missing !== undefined;
  let place: TempDir;
  let number = 0;
  let [from, to] = ["", ""];

  beforeAll(async () => {
    if (missing === undefined) place = await system.make();
  });
  afterAll(async () => place?.[Symbol.asyncDispose]());

  function begin({ size, written }: Shape): void {
    [from, to] = [join(place.path, `source${++number}`), join(place.path, `target${number}`)];
    makeSparse(from, size, written);
  }

  async function copy(options: DiskCopyOptions = {}): ReturnType<typeof copyDisk> {
    const report = await copyDisk(from, to, { verify: true, sync: false, ...options });
    expect(haveSameBytes(from, to)).toBe(true);
    const { copiedBytes, reflinkedBytes, unchangedBytes, holeBytes } = report;
    expect(copiedBytes + reflinkedBytes + unchangedBytes + holeBytes).toBe(report.logicalBytes);
    // XFS sets a block aside for what it has not written out yet.
    expect(Math.abs((report.allocatedBytes ?? 0) - allocated(to))).toBeLessThanOrEqual(64 * KIB);
    expect(readdirSync(place.path).filter((name) => name.startsWith("."))).toEqual([]);
    return report;
  }

  it.skipIf(unusable).each(SHAPES)("of $name take what the source takes", async (shape) => {
    begin(shape);
    const report = await copy();
    expect(report.warnings).toEqual([]);
    expect(mapOf(to)).toEqual(mapOf(from));
    expect(allocated(to)).toBeLessThanOrEqual(allocated(from) + 64 * KIB);
    [from, to] = [to, `${to} again`];
    await copy({ reflink: false });
    expect(mapOf(to)).toEqual(mapOf(from));
    expect(allocated(to)).toBeLessThanOrEqual(allocated(from) + 64 * KIB);
  });

  it.skipIf(unusable)("make holes of zeros, keep them, or have none, as they are told", async () => {
    begin(DENSE_ZEROS);
    await copy({ reflink: false, sync: true });
    expect(allocated(to)).toBeGreaterThanOrEqual(4 * MIB);
    await copy({ sparse: "always" });
    expect(allocated(to)).toBeLessThanOrEqual(BLOCK);
    begin({ name: "mixed", size: 4 * MIB, written: [[MIB, MIB]] });
    const dense = await copy({ sparse: "never" });
    expect(dense).toMatchObject({ copiedBytes: 4 * MIB, holeBytes: 0, holesBy: null, warnings: [] });
    expect(allocated(to)).toBeGreaterThanOrEqual(4 * MIB);
  });

  it.skipIf(unusable)("find zeros of 64 KiB and of a block among the data", async () => {
    const zeros: Written[] = [
      [64 * KIB, 64 * KIB, "zeros"],
      [512 * KIB, BLOCK, "zeros"],
      [600 * KIB + 100, 2 * BLOCK, "zeros"],
    ];
    begin({ name: "data with zeros", size: MIB, written: [[0, MIB], ...zeros] });
    const { holeBytes, copiedBytes } = await copy({ sparse: "always", reflink: false });
    expect({ holeBytes, copiedBytes }).toEqual({
      holeBytes: 64 * KIB + 2 * BLOCK,
      copiedBytes: MIB - 64 * KIB - 2 * BLOCK,
    });
  });

  const fallocate = findPeer("fallocate");
  const kinds: readonly (readonly [string, readonly string[]])[] = [
    ["all of it", ["-l", "8MiB"]],
    ["some of it", ["-o", "1MiB", "-l", "2MiB"]],
    ["beyond its end", ["-n", "-o", "7MiB", "-l", "8MiB"]],
  ];
  it.skipIf(unusable || fallocate === undefined).each(kinds)(
    "do not take space that was set aside: %s",
    async (_, args) => {
      begin({ name: "reserved", size: 8 * MIB, written: [[0, 64 * KIB]] });
      await runOk(fallocate!, [...args, from]);
      await copy({ reflink: false });
      expect(allocated(to)).toBeLessThanOrEqual(MIB);
    },
  );

  it.skipIf(unusable)("see what was written and not synced", async () => {
    begin({ name: "a hole", size: 16 * MIB });
    const fd = openSync(from, "r+");
    writeSync(fd, Buffer.alloc(MIB, 1), 0, MIB, 5 * MIB);
    await copy();
    fsyncSync(fd);
    closeSync(fd);
  });

  it.skipIf(unusable)("replace what is there, and keep its permissions", async () => {
    begin({ name: "small", size: MIB, written: [[0, BLOCK]] });
    makeSparse(to, 9 * MIB, [[0, 9 * MIB]]);
    const other = openSync(to, "r");
    await runOk("chmod", ["640", to]);
    const { unchangedBytes } = await copy();
    expect(unchangedBytes).toBe(0);
    expect(statSync(to).mode & 0o777).toBe(0o640);
    // Who has the old file open keeps it.
    closeSync(other);
  });

  it.skipIf(unusable).each(["auto", "always", "never"] as const)("update in place, %s", async (sparse) => {
    begin({
      name: "new",
      size: 6 * MIB,
      written: [
        [MIB, 2 * MIB],
        [4 * MIB, MIB, "zeros"],
      ],
    });
    makeSparse(to, 9 * MIB, [[0, 9 * MIB]]);
    const { ino } = statSync(to);
    const report = await copy({ inPlace: true, sparse, reflink: false });
    expect(statSync(to).ino).toBe(ino);
    const least = { auto: 3 * MIB, always: 2 * MIB, never: 6 * MIB }[sparse];
    expect(allocated(to)).toBeGreaterThanOrEqual(least);
    expect(allocated(to)).toBeLessThanOrEqual(least + 256 * KIB);
    expect(report.warnings).toEqual([]);
    const again = await copy({ inPlace: true, sparse, reflink: false });
    expect(again.copiedBytes).toBe(0);
  });

  it.skipIf(unusable || !shares)("share blocks, unless they are not to", async () => {
    begin({
      name: "large",
      size: 20 * MIB,
      written: [
        [MIB, 12 * MIB],
        [15 * MIB, MIB, "zeros"],
      ],
    });
    expect(await copy()).toMatchObject({ copiedBytes: 0, reflinkedBytes: 13 * MIB, holeBytes: 7 * MIB });
    expect(await copy({ sparse: "always" })).toMatchObject({ copiedBytes: 0, reflinkedBytes: 12 * MIB });
    expect(await copy({ inPlace: true })).toMatchObject({ copiedBytes: 0, reflinkedBytes: 13 * MIB });
    expect(await copy({ reflink: false })).toMatchObject({ copiedBytes: 13 * MIB, reflinkedBytes: 0 });
    expect(await copy({ sparse: "never" })).toMatchObject({ copiedBytes: 20 * MIB, reflinkedBytes: 0 });
  });

  it.skipIf(unusable || !shares)("that share blocks take no space", async () => {
    begin({ name: "large", size: 80 * MIB, written: [[0, 60 * MIB]] });
    await runOk("sync", ["-f", from]);
    const before = statfsSync(place.path).bfree;
    await copy({ sync: true });
    const { bfree, bsize } = statfsSync(place.path);
    expect((before - bfree) * bsize).toBeLessThan(10 * MIB);
  });

  it.skipIf(unusable)("go to other file systems and come from them", async () => {
    await using other = await tempDir();
    begin({ name: "mixed", size: 8 * MIB, written: [[MIB, 3 * MIB]] });
    const [here, back] = [from, to];
    to = join(other.path, "copy");
    expect(await copy()).toMatchObject({ holeBytes: 5 * MIB, warnings: [] });
    [from, to] = [to, back];
    expect(await copy()).toMatchObject({ holeBytes: 5 * MIB, warnings: [] });
    expect(haveSameBytes(here, back)).toBe(true);
  });
}
