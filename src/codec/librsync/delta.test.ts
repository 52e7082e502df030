/** Deltas as they are written and read: vectors made with `rdiff` 2.3.2, every command in every width, and what is wrong with others. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryBase } from "./base.ts";
import { readDelta } from "./delta-parser.ts";
import { DeltaWriter } from "./delta-writer.ts";
import { applyDelta } from "./patch.ts";
import { gather, inPieces } from "../../../test/codec/streams.ts";

const MAGIC = "72730236";
const text = (of: string): Uint8Array => new TextEncoder().encode(of);
const hex = (of: string): Uint8Array => Uint8Array.from(Buffer.from(of.replaceAll(" ", ""), "hex"));
const patched = async (base: Uint8Array, delta: Uint8Array, piece = 1): Promise<Uint8Array> =>
  gather(applyDelta(memoryBase(base), inPieces(delta, piece)));

describe("applied to hello", () => {
  it.each([
    ["45 00 05 00", "hello"],
    ["01 58 45 00 05 00", "Xhello"],
    ["00", ""],
    ["45 01 03 02 41 42 00", "ellAB"],
    ["45 00 05 00 ff ff", "hello"],
    ["45 04 01 45 00 05 45 00 05 00", "ohellohello"],
    ["41 02 41 42 00", "AB"],
    ["42 0002 41 42 00", "AB"],
    ["43 00000002 41 42 00", "AB"],
    ["44 0000000000000002 41 42 00", "AB"],
  ])("%s", async (commands, result) => {
    for (const piece of [1, 3, 100]) {
      expect(Buffer.from(await patched(text("hello"), hex(`${MAGIC} ${commands}`), piece)).toString()).toBe(result);
    }
  });

  it.each([
    ["DELTA_INVALID", "", "ends too early"],
    ["DELTA_INVALID", "45 00 00 00", "length"],
    ["DELTA_INVALID", "41 00 00", "length"],
    ["DELTA_INVALID", "44 0020000000000000", "length"],
    ["DELTA_INVALID", "44 ffffffffffffffff", "length"],
    ["DELTA_INVALID", "54 001fffffffffffff 0000000000000001", "place"],
    ["DELTA_INVALID", "55 00", "0x55"],
    ["DELTA_INVALID", "ff 00", "0xff"],
    ["DELTA_BASE_DIFFERS", "45 01 05 00", "base has 5"],
    ["DELTA_BASE_DIFFERS", "54 001ffffffffffff0 0000000000000001 00", "base has 5"],
  ])("%s: %s", async (code, commands, said) => {
    const work = patched(text("hello"), hex(`${MAGIC} ${commands}`), 4);
    await expect(work).rejects.toMatchObject({ code, message: expect.stringContaining(said) });
  });

  it("a delta that is none, and an empty file", async () => {
    const none = patched(text("hello"), text("hello, this is no delta"));
    await expect(none).rejects.toMatchObject({ code: "DELTA_INVALID", message: expect.stringContaining("begin") });
    await expect(patched(text("hello"), text(""))).rejects.toMatchObject({ code: "DELTA_INVALID" });
  });

  it("no more than is allowed", async () => {
    const work = gather(
      applyDelta(memoryBase(text("hello")), inPieces(hex(`${MAGIC} 45000545000500`), 2), { limit: 9 }),
    );
    await expect(work).rejects.toMatchObject({ code: "INGEST_LIMIT" });
  });
});

it("every copy command is read", async () => {
  const widths = [1, 2, 4, 8];
  const number = (value: number, width: number): string => value.toString(16).padStart(2 * width, "0");
  const commands = widths.flatMap((start, i) =>
    widths.map((length, j) => `${number(0x45 + 4 * i + j, 1)}${number(7 + i, start)}${number(9 + j, length)}`),
  );
  const ops: unknown[] = [];
  for await (const op of readDelta(inPieces(hex(`${MAGIC}${commands.join("")}00`), 50))) ops.push(op);
  expect(ops).toEqual(widths.flatMap((_, i) => widths.map((_, j) => ({ kind: "copy", start: 7 + i, length: 9 + j }))));
});

describe("written", () => {
  const written = (work: (writer: DeltaWriter) => void): string => {
    const writer = new DeltaWriter();
    work(writer);
    writer.end();
    return Buffer.concat(writer.take()).toString("hex");
  };

  it.each<readonly [what: string, work: (writer: DeltaWriter) => void, commands: string]>([
    ["nothing", () => undefined, "00"],
    ["a copy", (writer) => writer.copy(0, 5), "45 00 05 00"],
    ["copies that continue each other", (writer) => (writer.copy(3, 5), writer.copy(8, 2)), "45 03 07 00"],
    ["others", (writer) => (writer.copy(3, 5), writer.copy(9, 2)), "45 03 05 45 09 02 00"],
    ["short starts, long lengths", (writer) => writer.copy(255, 256), "46 ff 0100 00"],
    ["two and four", (writer) => writer.copy(0x100, 0x10000), "4b 0100 00010000 00"],
    ["eight", (writer) => writer.copy(2 ** 32, 2 ** 40), "54 0000000100000000 0000010000000000 00"],
    ["literals side by side", (writer) => (writer.literal(text("A")), writer.literal(text("B"))), "02 41 42 00"],
    ["64 bytes", (writer) => writer.literal(new Uint8Array(64)), `40 ${"00".repeat(64)} 00`],
    ["65 bytes", (writer) => writer.literal(new Uint8Array(65)), `41 41 ${"00".repeat(65)} 00`],
    ["256 bytes", (writer) => writer.literal(new Uint8Array(256)), `42 0100 ${"00".repeat(256)} 00`],
    [
      "one announced",
      (writer) => (writer.announce(2), writer.announced(text("A")), writer.announced(text("B"))),
      "02 41 42 00",
    ],
  ])("%s", (_, work, commands) => {
    expect(written(work)).toBe(MAGIC + commands.replaceAll(" ", ""));
  });

  it("a literal of more than 16 MiB, as one command or as several", async () => {
    const bytes = new Uint8Array(17 << 20).map((_, at) => at >> 8);
    const [one, several] = [new DeltaWriter(), new DeltaWriter()];
    one.announce(bytes.length);
    one.announced(bytes);
    one.end();
    several.literal(bytes);
    several.end();
    for (const [writer, literals] of [
      [one, 1],
      [several, 273],
    ] as const) {
      expect(writer.counts).toEqual({ copies: 0, copied: 0, literals, literal: bytes.length });
      const made = await patched(new Uint8Array(0), Buffer.concat(writer.take()), 100_000);
      expect(Buffer.compare(made, bytes)).toBe(0);
    }
  });

  it("less or more than was announced is a mistake", () => {
    expect(() => written((writer) => writer.announce(2))).toThrow(RangeError);
    expect(() => written((writer) => (writer.announce(2), writer.announced(text("ABC"))))).toThrow(RangeError);
  });
});

const BASE = new Uint8Array(300_000).map((_, at) => (at * at) >> 7);

/** Commands as they come, with what they make of {@link BASE}. */
const commands = fc.array(
  fc.oneof(
    fc.record({ start: fc.nat(BASE.length - 1), length: fc.integer({ min: 1, max: 200_000 }) }),
    fc.uint8Array({ maxLength: 300 }),
  ),
  { maxLength: 30 },
);

it("any commands make what they say, and truncated anywhere they are an error", async () => {
  await fc.assert(
    fc.asyncProperty(
      commands,
      fc.integer({ min: 1, max: 5000 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      async (list, piece, cut) => {
        const writer = new DeltaWriter();
        const expected: Uint8Array[] = [];
        for (const command of list) {
          if (command instanceof Uint8Array) writer.literal(command);
          else writer.copy(command.start, Math.min(command.length, BASE.length - command.start));
          expected.push(
            command instanceof Uint8Array ? command : BASE.subarray(command.start, command.start + command.length),
          );
        }
        writer.end();
        const delta = Buffer.concat(writer.take());
        expect(Buffer.compare(await patched(BASE, delta, piece), Buffer.concat(expected))).toBe(0);
        const shorter = delta.subarray(0, Math.floor(cut * delta.length));
        await expect(patched(BASE, shorter, piece)).rejects.toMatchObject({ code: "DELTA_INVALID" });
      },
    ),
    { numRuns: 60 },
  );
});

it("a delta cut short at each byte is an error", async () => {
  const delta = hex(`${MAGIC} 01 58 45 00 05 41 02 41 42 54 0000000000000001 0000000000000002 00`);
  for (let length = 0; length < delta.length; length++) {
    await expect(patched(text("hello"), delta.subarray(0, length))).rejects.toMatchObject({ code: "DELTA_INVALID" });
  }
});

it("whatever bytes come, it ends in a file or a coded error", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const work = gather(applyDelta(memoryBase(text("hello")), inPieces(Buffer.concat([hex(MAGIC), bytes]), 7)));
      const code = await work.then(
        () => "fine",
        (error: { code?: string }) => error.code,
      );
      expect(["fine", "DELTA_INVALID", "DELTA_BASE_DIFFERS"]).toContain(code);
    }),
    { numRuns: 500 },
  );
});
