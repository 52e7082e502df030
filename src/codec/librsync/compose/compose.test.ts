/** Two deltas merged into one: it makes what the two make one after the other, whatever they are, and of hostile ones no more than is allowed. */
import * as fc from "fast-check";
import { writeFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { deltaOf, random, type Command } from "../../../../test/codec/librsync-deltas.ts";
import { gather, inPieces } from "../../../../test/codec/streams.ts";
import { findPeer } from "../../../../test/kit/peers.ts";
import { runOk } from "../../../../test/kit/peers/run.ts";
import { tempDir } from "../../../../test/kit/temp-dir.ts";
import { memoryBase } from "../base.ts";
import { readDelta } from "../delta-parser.ts";
import { writeDirectDelta } from "../direct/generate.ts";
import { applyDelta } from "../patch.ts";
import { ComposedDeltas, writeComposedDelta, type ComposeOptions } from "./compose.ts";
import type { Spill } from "./command-index.ts";

/** A file of memory, and how often it was asked for. */
function memorySpill(): Spill & { reads: number } {
  let bytes = Buffer.alloc(0);
  return {
    reads: 0,
    get size() {
      return bytes.length;
    },
    append(more) {
      bytes = Buffer.concat([bytes, more]);
      return Promise.resolve();
    },
    read(into, position) {
      this.reads += 1;
      bytes.copy(into, 0, position);
      return Promise.resolve();
    },
  };
}

const patched = (base: Uint8Array, delta: Uint8Array): Promise<Buffer> =>
  gather(applyDelta(memoryBase(base), inPieces(delta, 5000)));
const composed = (first: Uint8Array, second: Uint8Array, options?: ComposeOptions, piece = 5000): Promise<Buffer> =>
  gather(writeComposedDelta([{ kind: "delta", delta: memoryBase(first) }], inPieces(second, piece), options));

async function expectSame(
  base: Uint8Array,
  first: Uint8Array,
  second: Uint8Array,
  options?: ComposeOptions,
): Promise<Buffer> {
  const target = await patched(await patched(base, first), second);
  const one = await composed(first, second, options);
  expect(Buffer.compare(await patched(base, one), target)).toBe(0);
  return one;
}

const BASE = random(5000);
/** Commands on a file of so many bytes. */
const commandsOn = (size: number): fc.Arbitrary<Command[]> => {
  const literal = fc.uint8Array({ minLength: 1, maxLength: 200 });
  const copy = fc
    .tuple(fc.nat(Math.max(0, size - 1)), fc.integer({ min: 1, max: 900 }))
    .map(([start, length]): Command => {
      return [start, Math.min(length, size - start)];
    });
  return fc.array(size === 0 ? literal : fc.oneof(literal, copy, copy), { maxLength: 40 });
};
const lengthOf = (commands: readonly Command[]): number =>
  commands.reduce((sum, command) => sum + (command instanceof Uint8Array ? command.length : command[1]), 0);
const twoDeltas = commandsOn(BASE.length).chain((first) => fc.tuple(fc.constant(first), commandsOn(lengthOf(first))));

it("whatever the two are, one makes what both make", async () => {
  await fc.assert(
    fc.asyncProperty(twoDeltas, fc.integer({ min: 1, max: 3000 }), async ([one, two], piece) => {
      const [first, second] = [deltaOf(one), deltaOf(two)];
      const target = await patched(await patched(BASE, first), second);
      const made = await composed(first, second, { baseSize: BASE.length, targetLimit: target.length }, piece);
      expect(Buffer.compare(await patched(BASE, made), target)).toBe(0);
      const literals = await literalBytes(made);
      expect(literals).toBeLessThanOrEqual(target.length);
    }),
    { numRuns: 300 },
  );
});

async function literalBytes(delta: Uint8Array): Promise<number> {
  let sum = 0;
  for await (const op of readDelta(inPieces(delta, 999))) sum += op.kind === "literal" ? op.bytes.length : 0;
  return sum;
}

it("deltas that were made of files merge to one not much larger than what is made of the files", async () => {
  const base = random(400_000);
  const middle = Buffer.concat([base.subarray(100_000), random(5000, 2), base.subarray(0, 90_000)]);
  const target = Buffer.concat([random(3000, 3), middle.subarray(50_000), middle.subarray(0, 40_000)]);
  const direct = (from: Buffer, to: Buffer): Promise<Buffer> =>
    gather(writeDirectDelta(memoryBase(from), inPieces(to, 9999)));
  const one = await expectSame(base, await direct(base, middle), await direct(middle, target));
  expect(one.length).toBeLessThan((await direct(base, target)).length + 40);
});

describe("what is written", () => {
  it("copies that continue each other are one, and literals side by side, too", async () => {
    const first = deltaOf([[0, 100], Buffer.from("ab"), [100, 100]]);
    expect(
      await composed(
        first,
        deltaOf([
          [0, 50],
          [50, 50],
          [102, 100],
        ]),
      ),
    ).toEqual(deltaOf([[0, 200]]));
    expect(await composed(first, deltaOf([Buffer.from("x"), [100, 2], Buffer.from("y")]))).toEqual(
      deltaOf([Buffer.from("xaby")]),
    );
  });

  it("nothing of nothing", async () => {
    expect(await composed(deltaOf([]), deltaOf([]))).toEqual(deltaOf([]));
    expect(await composed(deltaOf([]), deltaOf([Buffer.from("x")]))).toEqual(deltaOf([Buffer.from("x")]));
  });

  it("a long literal of both is read back in parts", async () => {
    const noise = random(300_000, 4);
    const first = deltaOf([noise, [0, 10]]);
    const one = await expectSame(BASE, first, deltaOf([[70_000, 200_000], noise.subarray(0, 80_000), [1, 300_009]]));
    expect(await literalBytes(one)).toBe(200_000 + 80_000 + 299_999);
  });

  it("places beyond 4 GiB", async () => {
    const far = 2 ** 33 + 5;
    const one = await composed(
      deltaOf([[far, 2 ** 34], Buffer.from("end")]),
      deltaOf([
        [2 ** 34 - 10, 12],
        [7, 2 ** 33],
      ]),
    );
    expect(one).toEqual(deltaOf([[far + 2 ** 34 - 10, 10], Buffer.from("en"), [far + 7, 2 ** 33]]));
  });
});

it("a middle file of parts: of the old one as it is, and of several deltas", async () => {
  const [one, two] = [deltaOf([Buffer.from("one"), [10, 20]]), deltaOf([[0, 5], Buffer.from("two")])];
  const deltas = await ComposedDeltas.over([
    { kind: "same", start: 0, length: 1000 },
    { kind: "delta", delta: memoryBase(one), size: 23 },
    { kind: "same", start: 3000, length: 0 },
    { kind: "delta", delta: memoryBase(two), size: 8 },
  ]);
  expect(deltas.partEnds).toEqual([1000, 1023, 1023, 1031]);
  const middle = Buffer.concat([BASE.subarray(0, 1000), await patched(BASE, one), await patched(BASE, two)]);
  for (const commands of [
    [[0, 1031]],
    [
      [990, 14],
      [1022, 9],
    ],
    [
      [1000, 3],
      [1028, 3],
    ],
  ] as const) {
    const second = deltaOf(commands);
    const made = await gather(deltas.with(inPieces(second, 7)));
    expect(Buffer.compare(await patched(BASE, made), await patched(middle, second))).toBe(0);
  }
  const first = deltas.with(inPieces(deltaOf([random(200_000)]), 100_000));
  await first.next();
  await expect(gather(deltas.with(inPieces(deltaOf([]), 5)))).rejects.toThrow("one delta after the other");
  await first.return();
});

it("more commands than may be held go to a file", async () => {
  // Each byte of the middle file is a command; 16 pages of them, of which one is held.
  const first = deltaOf(
    Array.from({ length: 60_000 }, (_, at): Command => (at % 3 === 0 ? random(1, at) : [(at * 7) % 4999, 1])),
  );
  const order = Array.from({ length: 900 }, (_, at): Command => [(at * 7919) % 59_000, 1 + (at % 70)]);
  const second = deltaOf([...order, [0, 60_000]]);
  const spill = memorySpill();
  const made = await expectSame(BASE, first, second, { memory: 1, spill: () => Promise.resolve(spill) });
  expect(spill.size).toBe(15 * 65_536);
  expect(spill.reads).toBeGreaterThan(100);
  expect(made).toEqual(await composed(first, second));
  await expect(composed(first, second, { memory: 1 })).rejects.toMatchObject({ code: "DELTA_LIMIT" });
  await expect(composed(first, second, { commandLimit: 9000 })).rejects.toMatchObject({ code: "DELTA_LIMIT" });
});

describe("is refused", () => {
  const few = deltaOf([[0, 10], Buffer.from("abc")]);

  it.each<readonly [code: string, what: string, first: Buffer, second: Buffer]>([
    ["DELTA_BASE_DIFFERS", "a copy from beyond the middle file", few, deltaOf([[5, 9]])],
    ["DELTA_BASE_DIFFERS", "a copy from far beyond", few, deltaOf([[2 ** 51, 1]])],
    ["DELTA_BASE_DIFFERS", "a copy from beyond the old file", deltaOf([[5000, 10]]), deltaOf([])],
    ["INGEST_LIMIT", "a new file that is too large", few, deltaOf([Buffer.alloc(500), Buffer.alloc(501)])],
    ["DELTA_INVALID", "a first delta without end", few.subarray(0, -1), deltaOf([])],
    ["DELTA_INVALID", "a second delta without end", few, deltaOf([[0, 1]]).subarray(0, -1)],
    ["DELTA_INVALID", "what is no delta", Buffer.from("hello, this is none"), few],
    ["DELTA_INVALID", "nothing at all", Buffer.alloc(0), few],
  ])("%s: %s", async (code, _, first, second) => {
    await expect(composed(first, second, { baseSize: 5009, targetLimit: 1000 })).rejects.toMatchObject({ code });
  });

  it("a middle file of impossible length", async () => {
    const first = deltaOf(Array.from({ length: 3 }, (_, at): Command => [at, 2 ** 52]));
    await expect(composed(first, few)).rejects.toMatchObject({ code: "DELTA_INVALID" });
  });

  it("a delta that makes less than it should", async () => {
    const work = ComposedDeltas.over([{ kind: "delta", delta: memoryBase(few), size: 14 }]);
    await expect(work).rejects.toMatchObject({
      code: "DELTA_INVALID",
      message: expect.stringContaining("makes 13 bytes"),
    });
  });

  it("a delta that asks for all of millions of pieces with each of its bytes", async () => {
    const first = deltaOf(Array.from({ length: 50_000 }, (_, at): Command => [(at * 2) % 200, 1]));
    const second = deltaOf(Array.from({ length: 50_000 }, (_, at): Command => [at % 2, 49_999]));
    let out = 0;
    const work = async (): Promise<void> => {
      const part = { kind: "delta", delta: memoryBase(first) } as const;
      for await (const piece of writeComposedDelta([part], inPieces(second, 5000), { limit: 3_000_000 }))
        out += piece.length;
    };
    await expect(work()).rejects.toMatchObject({ code: "DELTA_LIMIT" });
    expect(out).toBeLessThanOrEqual(3_000_000);
  });
});

it("whatever bytes come, it ends in a delta or a coded error", async () => {
  const good = deltaOf([[0, 5], Buffer.from("abcdef"), [3, 2000]]);
  const anything = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.concat([good.subarray(0, 4), bytes]));
  const damaged = fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => {
    const copy = Buffer.from(good);
    copy[at] = byte;
    return copy;
  });
  await fc.assert(
    fc.asyncProperty(fc.oneof(anything, damaged), fc.oneof(anything, damaged), async (first, second) => {
      const code = await composed(first, second, { limit: 1_000_000 }).then(
        () => "fine",
        (error: { code?: string }) => error.code,
      );
      expect(["fine", "DELTA_INVALID", "DELTA_BASE_DIFFERS"]).toContain(code);
    }),
    { numRuns: 300 },
  );
});

it("stops when it is told to", async () => {
  const stop = new AbortController();
  const first = deltaOf(Array.from({ length: 50_000 }, (_, at): Command => [(at * 2) % 200, 1]));
  const second = deltaOf(Array.from({ length: 2000 }, (_, at): Command => [at % 2, 49_999]));
  const part = { kind: "delta", delta: memoryBase(first) } as const;
  const pieces = writeComposedDelta([part], inPieces(second, 100), { signal: stop.signal });
  await pieces.next();
  stop.abort(new Error("enough"));
  await expect(gather(pieces)).rejects.toThrow("enough");
});

describe.skipIf(findPeer("rdiff") === undefined)("with rdiff", () => {
  const program = findPeer("rdiff") ?? "";

  it("merges two of its deltas into one that it applies", async () => {
    await using dir = await tempDir();
    const path = (name: string): string => join(dir.path, name);
    const base = random(100_000);
    const middle = Buffer.concat([random(700, 2), base.subarray(30_000), base.subarray(0, 20_000)]);
    const target = Buffer.concat([middle.subarray(500, 60_000), random(900, 3), middle.subarray(10_000)]);
    for (const [name, bytes] of Object.entries({ base, middle, target })) await writeFile(path(name), bytes);
    for (const [from, to] of [
      ["base", "middle"],
      ["middle", "target"],
    ] as const) {
      await runOk(program, ["-f", "-b", "512", "signature", path(from), path("sig")]);
      await runOk(program, ["-f", "delta", path("sig"), path(to), path(`${from}.delta`)]);
    }
    await writeFile(
      path("one"),
      await composed(await readFile(path("base.delta")), await readFile(path("middle.delta"))),
    );
    await runOk(program, ["-f", "patch", path("base"), path("one"), path("made")]);
    expect(Buffer.compare(await readFile(path("made")), target)).toBe(0);
  });
});
