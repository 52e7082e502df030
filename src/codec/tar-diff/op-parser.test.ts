/** What is read of a tar-diff, whatever pieces it comes in, and what is said of bytes that are none (formats "tar-diff" §1 and §6). */
import { zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inPieces } from "../../../test/codec/streams.ts";
import { deltaOf, leb, MAGIC, opsOf } from "../../../test/codec/tar-diffs.ts";
import { randomFrom } from "../../../test/codec/mutate.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { OP_ADD, OP_COPY, OP_DATA, OP_OPEN, OP_SEEK } from "./format.ts";
import { measureTarDiff } from "./measure.ts";
import { TarDiffParser } from "./op-parser.ts";
import { readTarDiffOps } from "./read-ops.ts";

/** What is read, parts of one operation joined. */
async function read(delta: Uint8Array, piece = 1000): Promise<string[]> {
  const parser = new TarDiffParser();
  const told: string[] = [];
  const bytesOf = (kind: string, bytes: Uint8Array): void => {
    const before = told.at(-1)?.startsWith(`${kind} `) ? told.pop()! : `${kind} `;
    told.push(before + Buffer.from(bytes).toString("hex"));
  };
  for await (const chunk of readTarDiffOps(inPieces(delta, piece))) {
    // Every border of pieces is tried: what is cut must not matter.
    for (let at = 0; at < chunk.length; at += piece) {
      const some = chunk.slice(at, at + piece);
      parser.give(some);
      for (let op = parser.next(); op !== undefined; op = parser.next()) {
        if (op === "data" || op === "add") bytesOf(op, some.subarray(parser.from, parser.to));
        else if (op === "open") told.push(`open ${parser.path}`);
        else told.push(op === "copy" ? `copy ${parser.length}` : `seek ${parser.position}`);
      }
    }
  }
  parser.end();
  return told;
}

async function failing(ops: Uint8Array): Promise<void> {
  await expect(read(deltaOf(ops))).rejects.toMatchObject({ code: "DELTA_INVALID" });
}

const ALL = opsOf(
  [OP_DATA, "ab"],
  [OP_OPEN, "dir/file"],
  [OP_COPY, 300],
  [OP_SEEK, 2 ** 40],
  [OP_ADD, Buffer.of(1, 255)],
);
const TOLD = ["data 6162", "open dir/file", "copy 300", `seek ${2 ** 40}`, "add 01ff"];

describe("operations", () => {
  it.each([1, 2, 3, 7, 1000])("are read in pieces of %i", async (piece) => {
    expect(await read(deltaOf(ALL), piece)).toEqual(TOLD);
  });

  it("may stand in any number of frames, and in empty ones", async () => {
    const frames = [ALL.subarray(0, 5), Buffer.alloc(0), ALL.subarray(5)].map((bytes) => zstdCompressSync(bytes));
    expect(await read(Buffer.concat([MAGIC, ...frames]), 3)).toEqual(TOLD);
    expect(await read(deltaOf(Buffer.alloc(0)))).toEqual([]);
  });

  it("of no length are passed over", async () => {
    const none = opsOf([OP_DATA, ""], [OP_OPEN, "x"], [OP_COPY, 0], [OP_ADD, ""], [OP_COPY, 1]);
    expect(await read(deltaOf(none))).toEqual(["open x", "copy 1"]);
  });

  it.each(Array.from({ length: 7 }, (_, bytes) => [bytes + 1, 128n ** BigInt(bytes)] as const))(
    "have numbers of %i bytes",
    async (bytes, number) => {
      expect(leb(number)).toHaveLength(bytes);
      const ops = Buffer.concat([opsOf([OP_OPEN, "x"]), Buffer.of(OP_SEEK, ...leb(number))]);
      expect(await read(deltaOf(ops))).toEqual(["open x", `seek ${number}`]);
    },
  );

  it("may have numbers with zeros that say nothing, up to ten bytes", async () => {
    const padded = Buffer.of(OP_COPY, 0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00);
    expect(await read(deltaOf(Buffer.concat([opsOf([OP_OPEN, "x"]), padded])))).toEqual(["open x", "copy 5"]);
  });

  it.each([
    ["beyond 2^53", Buffer.of(OP_COPY, ...leb(2n ** 53n))],
    ["of 2^63", Buffer.of(OP_SEEK, ...leb(2n ** 63n))],
    ["beyond 64 bits", Buffer.of(OP_COPY, ...leb(2n ** 70n - 1n))],
    ["of eleven bytes", Buffer.of(OP_COPY, ...Array.from({ length: 10 }, () => 0x80), 0)],
  ])("have no numbers %s", (_, op) => failing(Buffer.concat([opsOf([OP_OPEN, "x"]), op])));

  it.each([
    ["Copy", opsOf([OP_COPY, 1])],
    ["AddData", opsOf([OP_ADD, "x"])],
    ["Seek", opsOf([OP_SEEK, 0])],
    ["an operation of no meaning", Buffer.of(5, 0)],
    ["a path of nothing", opsOf([OP_OPEN, ""])],
    ["the root", opsOf([OP_OPEN, "/./"])],
    ["what is above the root", opsOf([OP_OPEN, "a/../.."])],
    ["a path with a zero byte", opsOf([OP_OPEN, "a\0b"])],
    ["a path of more bytes than any has", opsOf([OP_OPEN, "a".repeat(4097)])],
    ["a path of petabytes", Buffer.of(OP_OPEN, ...leb(2n ** 52n))],
  ])("%s is no beginning", (_, ops) => failing(ops));

  it.each([
    ["../../etc/passwd", "etc/passwd"],
    ["/a//b/./c/", "a/b/c"],
    ["a/../b", "b"],
    ["...", "..."],
  ])("open %s below the root", async (path, cleaned) => {
    expect(await read(deltaOf(opsOf([OP_OPEN, path])))).toEqual([`open ${cleaned}`]);
  });

  it("that make nothing do not go on for ever", async () => {
    const idle = Buffer.concat([opsOf([OP_OPEN, "x"]), Buffer.alloc(3_000_000, opsOf([OP_SEEK, 7]))]);
    await failing(idle);
    const busy = opsOf(
      ...Array.from({ length: 10_000 }, (_, at) => [OP_SEEK, at] as const).flatMap((seek) => [
        seek,
        [OP_COPY, 1] as const,
      ]),
    );
    await expect(read(deltaOf(Buffer.concat([opsOf([OP_OPEN, "x"]), busy])))).resolves.toHaveLength(20_001);
  });
});

describe("a file that is no delta", () => {
  const delta = deltaOf(ALL);

  it("is cut anywhere", async () => {
    for (let length = 0; length < delta.length; length++) {
      await expect(read(delta.subarray(0, length), 5)).rejects.toMatchObject({ code: "DELTA_INVALID" });
    }
  });

  it("is cut within an operation", async () => {
    for (const length of [1, 2, 3, 5, 7, ALL.length - 1]) await failing(ALL.subarray(0, length));
  });

  it.each([
    ["bytes behind it", Buffer.concat([delta, Buffer.from("more")])],
    ["another header", Buffer.concat([Buffer.from("tardf0\n\0"), delta.subarray(8)])],
    ["gzip in the place of zstd", Buffer.concat([MAGIC, Buffer.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0)])],
  ])("has %s", async (_, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({ code: "DELTA_INVALID" });
  });

  it("wants a window of more than 64 MiB", async () => {
    // Magic, no size, a window of 2^27 bytes, an empty last block.
    const frame = Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3, 0x01, 0x00, 0x00);
    await expect(read(Buffer.concat([MAGIC, frame]))).rejects.toMatchObject({ code: "DELTA_INVALID" });
  });
});

it("what a delta makes is counted without making it, up to a limit", async () => {
  const delta = deltaOf(opsOf([OP_DATA, "abc"], [OP_OPEN, "x"], [OP_COPY, 2 ** 50], [OP_ADD, "d"]));
  expect(await measureTarDiff(inPieces(delta, 4))).toEqual({ data: 3, copied: 2 ** 50, added: 1, operations: 4 });
  const limited = measureTarDiff(inPieces(delta, 4), { limit: 2 ** 50 });
  await expect(limited).rejects.toMatchObject({ code: "INGEST_LIMIT" });
  const endless = deltaOf(
    Buffer.concat([opsOf([OP_OPEN, "x"]), ...Array.from({ length: 9 }, () => opsOf([OP_COPY, 2 ** 52]))]),
  );
  await expect(measureTarDiff(inPieces(endless, 99))).rejects.toMatchObject({ code: "INGEST_LIMIT" });
});

it("whatever bytes there are, they are operations or an error that says so", async () => {
  const random = randomFrom(7);
  for (let run = 0; run < 400; run++) {
    const ops = Buffer.from(ALL);
    for (let n = random(4); n >= 0; n--) ops[random(ops.length)] = random(2) === 0 ? random(6) : random(256);
    await read(deltaOf(ops), 1 + random(20)).catch((error: unknown) => {
      if (!isVarveError(error, "DELTA_INVALID")) throw error;
    });
  }
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
      await read(deltaOf(bytes), 7).catch((error: unknown) => expect(error).toMatchObject({ code: "DELTA_INVALID" }));
    }),
    { numRuns: 200 },
  );
});
