/** The tar of a layer from a tar-diff and the old layer's tar: which files it may read, and what of the new tar is told how (formats "tar-diff" §1, §6). */
import { describe, expect, it } from "vitest";
import { apply, deltaOf, MEMORY_PATH, opsOf, tarOf, type Op } from "../../test/codec/tar-diffs.ts";
import { OP_ADD, OP_COPY, OP_DATA, OP_OPEN, OP_SEEK } from "../codec/tar-diff/format.ts";
import { RangeSet } from "../store/range-set.ts";
import { tarDiffSegments } from "./tar-diff.ts";

const BIG = Buffer.alloc(300_000, "0123456789abcdef!");

const base = tarOf(
  ["dir/old", "0123456789"],
  ["./other", "abc"],
  ["dir/link", "", { type: "link", linkName: "./dir/old" }],
  ["shortcut", "", { type: "symlink", linkName: "dir" }],
  ["pipe", "", { type: "fifo" }],
  ["null", "", { type: "char" }],
  ["twice", "first"],
  ["twice", "last"],
  ["gone", "file"],
  ["gone", "", { type: "directory" }],
  ["../outside", "x"],
  ["empty", ""],
  ["big", BIG],
);

async function made(...ops: readonly Op[]): Promise<string> {
  return (await apply(base, deltaOf(opsOf(...ops)))).bytes.toString("latin1");
}

describe("operations", () => {
  it("copy, add, seek, and give data as it is", async () => {
    const result = await made(
      [OP_DATA, "<"],
      [OP_OPEN, "/./dir//old"],
      [OP_COPY, 3],
      [OP_SEEK, 8],
      [OP_COPY, 2],
      [OP_SEEK, 0],
      [OP_ADD, Buffer.of(1, 1, 2)],
      [OP_OPEN, "other"],
      [OP_COPY, 3],
      [OP_DATA, ">"],
    );
    expect(result).toBe("<01289124abc>");
  });

  it("add without a carry", async () => {
    const one = Buffer.of(255, 1, 128);
    const { bytes } = await apply(tarOf(["f", one]), deltaOf(opsOf([OP_OPEN, "f"], [OP_ADD, Buffer.of(1, 255, 128)])));
    expect([...bytes]).toEqual([0, 0, 0]);
  });

  it("begin anew in a file that is opened again", async () => {
    expect(await made([OP_OPEN, "other"], [OP_COPY, 1], [OP_OPEN, "other"], [OP_COPY, 2])).toBe("aab");
  });

  it("read hard links as the files that they are, and of paths that come twice the last", async () => {
    expect(await made([OP_OPEN, "dir/link"], [OP_COPY, 2], [OP_OPEN, "twice"], [OP_COPY, 4])).toBe("01last");
  });

  it("may seek anywhere, as long as nothing is read there", async () => {
    expect(await made([OP_OPEN, "other"], [OP_SEEK, 2 ** 50], [OP_SEEK, 2], [OP_COPY, 1])).toBe("c");
    expect(await made([OP_OPEN, "empty"], [OP_COPY, 0])).toBe("");
  });
});

describe("a delta of another layer", () => {
  it.each([
    ["a file that is not there", "none"],
    ["a path with a symbolic link in it", "shortcut/old"],
    ["a symbolic link", "shortcut"],
    ["a directory", "gone"],
    ["a named pipe", "pipe"],
    ["a device", "null"],
    ["a file outside of the layer", "outside"],
    ["something of the host", "../../../../etc/passwd"],
  ])("opens %s", async (_, path) => {
    await expect(made([OP_OPEN, path], [OP_COPY, 1])).rejects.toMatchObject({ code: "DELTA_BASE_DIFFERS" });
  });

  it.each([
    ["copies beyond a file's end", [OP_COPY, 11] as const],
    ["adds beyond a file's end", [OP_ADD, "x".repeat(11)] as const],
    ["copies petabytes", [OP_COPY, 2 ** 52] as const],
  ])("%s", async (_, op) => {
    await expect(made([OP_OPEN, "dir/old"], op)).rejects.toMatchObject({ code: "DELTA_BASE_DIFFERS" });
    await expect(made([OP_OPEN, "dir/old"], [OP_SEEK, 10], [OP_COPY, 1])).rejects.toMatchObject({
      code: "DELTA_BASE_DIFFERS",
    });
    await expect(made([OP_OPEN, "dir/old"], [OP_SEEK, 2 ** 52], op)).rejects.toMatchObject({
      code: "DELTA_BASE_DIFFERS",
    });
  });
});

describe("segments", () => {
  const ops = [
    [OP_DATA, "head"],
    [OP_OPEN, "big"],
    [OP_COPY, 200_000],
    [OP_ADD, Buffer.alloc(70_000, 1)],
    [OP_SEEK, 5],
    [OP_COPY, 100],
    [OP_DATA, "tail"],
  ] satisfies Op[];
  const delta = deltaOf(opsOf(...ops));
  const whole = Buffer.concat([
    Buffer.from("head"),
    BIG.subarray(0, 200_000),
    BIG.subarray(200_000, 270_000).map((byte) => byte + 1),
    BIG.subarray(5, 105),
    Buffer.from("tail"),
  ]);

  it("leave long copies to the file system, and put the rest together", async () => {
    const { bytes, segments } = await apply(base, delta);
    expect(bytes.equals(whole)).toBe(true);
    expect(segments.map((segment) => segment.kind)).toEqual(["data", "local", "data"]);
    const start = base.indexOf(BIG);
    expect(segments[1]).toEqual({ kind: "local", path: MEMORY_PATH, start, length: 200_000 });
    expect(segments[2]).toMatchObject({ local: 70_100 });
  });

  it("are the same each time they are asked for", async () => {
    const many = deltaOf(
      opsOf([OP_OPEN, "other"], ...Array.from({ length: 5000 }, () => [OP_DATA, Buffer.alloc(999, 7)] as const)),
    );
    const { bytes, segments } = await apply(base, many);
    expect(bytes.equals(Buffer.alloc(999 * 5000, 7))).toBe(true);
    expect(segments.length).toBeLessThan(7);
    expect((await apply(base, many)).segments).toEqual(segments);
  });

  it.each([
    [[]],
    [[{ start: 0, end: 4 }]],
    [[{ start: 0, end: whole.length }]],
    [
      [
        { start: 2, end: 100_000 },
        { start: 100_001, end: 100_002 },
        { start: 200_010, end: 269_999 },
      ],
    ],
    [[{ start: whole.length - 50, end: whole.length + 1000 }]],
  ])("say of what is here only that it is: %j", async (ranges) => {
    const held = new RangeSet(ranges);
    const { bytes, segments } = await apply(base, delta, { held: () => held });
    for (let at = 0; at < whole.length; at++)
      if (!held.has(at, at + 1) && bytes[at] !== whole[at]) throw new Error(`differs at ${at}`);
    expect(bytes.length).toBe(whole.length);
    const told = segments.reduce((sum, segment) => sum + (segment.kind === "held" ? segment.length : 0), 0);
    expect(told).toBe(new RangeSet(held.within(0, whole.length)).bytes);
  });

  it("are no more than they may be", async () => {
    await expect(apply(base, delta, { limit: whole.length })).resolves.toBeDefined();
    await expect(apply(base, delta, { limit: whole.length - 1 })).rejects.toMatchObject({ code: "INGEST_LIMIT" });
  });

  it("stop when they are told to", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(apply(base, delta, { signal })).rejects.toThrow("enough");
  });

  it("pass on what goes wrong with the delta's own bytes", async () => {
    const broken = { ...(await sourceOf()), delta: () => failing() };
    await expect(Array.fromAsync(tarDiffSegments(broken))).rejects.toThrow("connection lost");
  });
});

async function sourceOf(): Promise<Omit<Parameters<typeof tarDiffSegments>[0], "delta">> {
  const { memoryTar } = await import("../../test/codec/tar-diffs.ts");
  const { TarMembers } = await import("../codec/tar-diff/tar-members.ts");
  return { base: memoryTar(base), members: await TarMembers.of(memoryTar(base)) };
}

// oxlint-disable-next-line require-yield
async function* failing(): AsyncGenerator<Uint8Array, void, undefined> {
  throw new Error("connection lost");
}
