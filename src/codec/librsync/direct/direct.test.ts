/** Deltas of files that are both here: they make the new file, find what moved by any number of bytes, and need no more memory for larger bases. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gather, inPieces } from "../../../../test/codec/streams.ts";
import { memoryBase, type Base } from "../base.ts";
import { readDelta } from "../delta-parser.ts";
import { applyDelta } from "../patch.ts";
import { DirectDeltas, writeDirectDelta } from "./generate.ts";
import { planMemory } from "./memory-plan.ts";

/** So little that spacing grows and pages go at bases of a few hundred KiB. */
const TIGHT = 200 << 10;

async function delta(base: Uint8Array, target: Uint8Array, memory?: number, piece = 50_000): Promise<Buffer> {
  return gather(writeDirectDelta(memoryBase(base), inPieces(target, piece), memory === undefined ? {} : { memory }));
}

async function checked(base: Uint8Array, target: Uint8Array, memory?: number): Promise<number> {
  const made = await delta(base, target, memory);
  const result = await gather(applyDelta(memoryBase(base), inPieces(made, 9999)));
  expect(Buffer.compare(result, target)).toBe(0);
  return made.length;
}

function random(length: number, seed = 1): Buffer {
  let state = seed;
  return Buffer.from(
    Uint8Array.from({ length }, () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) >>> 24),
  );
}

describe("small files", () => {
  it.each([
    ["", "", 5],
    ["", "x", 7],
    ["x", "", 5],
    ["hello", "hello", 8],
    ["hello", "Xhello", 12],
    ["shorter than a seed", "shorter than a seed", 8],
  ])("%j to %j", async (base, target, size) => {
    expect(await checked(Buffer.from(base), Buffer.from(target))).toBe(size);
  });
});

describe.each([undefined, TIGHT])("with %s bytes of memory", (memory) => {
  const base = random(700_000);

  it("a file as it was is one copy", async () => expect(await checked(base, base, memory)).toBeLessThan(16));

  it("what is put in, taken out, moved and changed costs little more than its bytes", async () => {
    const fresh = random(100, 2);
    const changed = Buffer.from(base);
    for (let at = 1000; at < changed.length; at += 50_000) changed[at]! ^= 1;
    const targets = [
      [Buffer.concat([fresh, base]), 100],
      [Buffer.concat([base, fresh]), 100],
      [Buffer.concat([base.subarray(0, 333_333), fresh, base.subarray(333_333)]), 100],
      [Buffer.concat([base.subarray(0, 333_333), base.subarray(444_444)]), 0],
      [Buffer.concat([base.subarray(333_333), base.subarray(0, 333_333)]), 0],
      [changed, 14 * 12],
      [Buffer.concat([base, base, base]), 0],
    ] as const;
    for (const [target, least] of targets) expect(await checked(base, target, memory)).toBeLessThan(least + 300);
  });

  it("what has nothing of the base is no larger than it is but for three bytes in 64 KiB", async () => {
    const target = random(700_000, 3);
    expect(await checked(base, target, memory)).toBeLessThan(target.length + 50);
  });
});

it("runs of one byte are copied from the longest of the base", async () => {
  const base = Buffer.concat([
    Buffer.alloc(100),
    random(5000),
    Buffer.alloc(200_000),
    random(5000, 2),
    Buffer.alloc(300),
  ]);
  const target = Buffer.concat([random(5000, 2), Buffer.alloc(2_000_000), Buffer.alloc(500_000, 7), random(5000)]);
  // Sevens are nowhere in the base.
  expect(await checked(base, target)).toBeLessThan(500_000 + 300);
});

it("more than a window, in whatever pieces it comes", async () => {
  const base = random(9_000_000);
  const target = Buffer.concat([base.subarray(4_000_000), random(1000, 2), base.subarray(0, 5_000_000)]);
  const whole = await delta(base, target, undefined, target.length);
  expect(whole.length).toBeLessThan(1100);
  expect(Buffer.compare(whole, await delta(base, target, undefined, 77_777))).toBe(0);
  expect(Buffer.compare(await gather(applyDelta(memoryBase(base), inPieces(whole, 100))), target)).toBe(0);
});

/** A file made of parts of few kinds, so that two of them have much in common. */
const structured = fc
  .array(fc.tuple(fc.nat(5), fc.nat(400), fc.nat(600)), { maxLength: 40 })
  .map((parts) => Buffer.concat(parts.map(([kind, from, length]) => PARTS[kind]!.subarray(from, from + length))));
const PARTS = [
  random(1000),
  random(1000, 2),
  Buffer.alloc(1000),
  Buffer.alloc(1000, "ab"),
  Buffer.from("the same line again and again\n".repeat(40)),
  random(1000).map((byte) => byte & 1),
];

it("whatever the files are, the delta makes the new one", async () => {
  await fc.assert(
    fc.asyncProperty(structured, structured, fc.constantFrom(undefined, TIGHT), async (base, target, memory) => {
      expect(await checked(base, target, memory)).toBeLessThanOrEqual(target.length + 12 + target.length / 20);
    }),
    { numRuns: 150 },
  );
});

it("one base serves several new files, one after the other", async () => {
  const base = random(300_000);
  const targets = [base.subarray(1000), random(5_000_000, 9), Buffer.concat([base.subarray(200_000), base])];
  for (const memory of [undefined, TIGHT]) {
    const deltas = await DirectDeltas.over(memoryBase(base), memory === undefined ? {} : { memory });
    for (const target of targets) {
      const made = await gather(deltas.to(inPieces(target, 70_000)));
      expect(Buffer.compare(made, await delta(base, target, memory))).toBe(0);
    }
    const first = deltas.to(inPieces(targets[1]!, 1_000_000));
    await first.next();
    await expect(gather(deltas.to(inPieces(base, 1000)))).rejects.toThrow("one delta after the other");
    await first.return();
    expect((await gather(deltas.to(inPieces(base, 1000)))).length).toBeLessThan(20);
  }
});

it("places beyond 4 GiB", async () => {
  const [far, tail] = [2 ** 32 + 12_345, random(40_000, 4)];
  const base: Base = {
    size: far + tail.length,
    async read(into, position) {
      into.fill(0);
      if (position + into.length <= far) return;
      const from = Math.max(far, position);
      into.set(tail.subarray(from - far, position + into.length - far), from - position);
    },
  };
  const target = Buffer.concat([Buffer.from("before"), tail.subarray(1000), Buffer.alloc(5_000_000)]);
  const made = await gather(writeDirectDelta(base, inPieces(target, 1 << 20), { memory: 8 << 20 }));
  expect(made.length).toBeLessThan(100);
  const ops: unknown[] = [];
  for await (const op of readDelta(inPieces(made, 100))) ops.push(op);
  expect(ops[1]).toEqual({ kind: "copy", start: far + 1000, length: tail.length - 1000 });
  expect(Buffer.compare(await gather(applyDelta(base, inPieces(made, 9))), target)).toBe(0);
});

it("memory is what was asked for, whatever the size", () => {
  const MIB = 2 ** 20;
  for (const size of [0, 1, 1e6, 1e8, 1e9, 1e11, 2 ** 52]) {
    const { spacing, bucketBits, pageBytes } = planMemory(size, 320 * MIB);
    expect(16 * 2 ** bucketBits + pageBytes).toBeLessThanOrEqual(320 * MIB);
    expect(size / spacing).toBeLessThanOrEqual(4 * 2 ** bucketBits);
    expect(size / spacing + 2).toBeLessThan(2 ** 31);
  }
  expect(planMemory(1e8, 320 * MIB).spacing).toBe(16);
  expect(planMemory(1e9, 320 * MIB).spacing).toBe(48);
});
