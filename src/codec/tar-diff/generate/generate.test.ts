/** Tar-diffs that are made: they make the new tar again, whatever the tars, and are as small as they should be. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gather, inPieces } from "../../../../test/codec/streams.ts";
import { apply, applyPlainly, operationsOf, opsOf, tarOf, type Member } from "../../../../test/codec/tar-diffs.ts";
import { memoryBase } from "../../librsync/base.ts";
import { OP_ADD, OP_COPY, OP_DATA, OP_OPEN } from "../format.ts";
import { measureTarDiff } from "../measure.ts";
import { generateTarDiff, type GenerateOptions } from "./generate.ts";

/** Windows of 232,000 and 116,000 bytes. */
const TIGHT = 1 << 20;

function diff(base: Uint8Array, target: Uint8Array, options: GenerateOptions = {}): Promise<Buffer> {
  return gather(generateTarDiff(memoryBase(base), memoryBase(target), options));
}

async function checked(base: Uint8Array, target: Uint8Array, options: GenerateOptions = {}): Promise<number> {
  const delta = await diff(base, target, options);
  const { bytes } = await apply(base, delta);
  expect(bytes.equals(target)).toBe(true);
  const { data, copied, added } = await measureTarDiff(inPieces(delta, 777));
  expect(data + copied + added).toBe(target.length);
  return delta.length;
}

function random(length: number, seed = 1): Buffer {
  let state = seed;
  return Buffer.from(
    Uint8Array.from({ length }, () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) >>> 24),
  );
}

/** As programs change from one release to the next: every so often an address is a few more than it was. */
function rebuilt(program: Uint8Array, every: number): Buffer {
  const result = Buffer.from(program);
  for (let at = every; at + 4 < result.length; at += every)
    result.writeUInt32LE((result.readUInt32LE(at) + 24) >>> 0, at);
  return result;
}

/** Bytes of the new tar that a delta takes from files of the old one. */
async function readBy(base: Uint8Array, target: Uint8Array, options: GenerateOptions = {}): Promise<number> {
  const { copied, added } = await measureTarDiff(inPieces(await diff(base, target, options), 1000));
  return copied + added;
}

describe("sources", () => {
  const content = random(20_000);
  const changed = rebuilt(content, 500);

  it.each([
    ["of the same path", "usr/bin/tool", "usr/bin/tool"],
    ["of the same name elsewhere", "usr/bin/tool", "opt/tool"],
    ["of the same name up to its first dot", "usr/lib/libx.so.1.2", "usr/lib/libx.so.1.3"],
  ])("are files %s", async (_, one, two) => {
    expect(await checked(tarOf([one, content]), tarOf([two, changed]))).toBeLessThan(1000);
  });

  it("are files of equal content, whatever they are called", async () => {
    const base = tarOf(["a", content], ["b", random(20_000, 2)]);
    expect(await checked(base, tarOf(["dir/c", random(20_000, 2)], ["a", content]))).toBeLessThan(300);
  });

  it("are of similar size, and the nearest of several", async () => {
    const base = tarOf(
      ["x/tool.1", random(300_000, 9)],
      ["y/tool.2", Buffer.concat([content, random(9000, 8)])],
      ["z/tool.3", content],
    );
    expect(await checked(base, tarOf(["tool", changed]))).toBeLessThan(1000);
    expect(await checked(tarOf(["tool", random(900_000)]), tarOf(["tool", content]))).toBeGreaterThan(20_000);
  });

  it("are found among thousands of one name", async () => {
    const many = Array.from(
      { length: 800 },
      (_, at) => [`p${at}/package.json`, content.subarray(0, at + 7000)] as const,
    );
    const base = tarOf(...many);
    const target = tarOf(...many.map(([, bytes], at) => [`q${at}/package.json`, rebuilt(bytes, 5000)] as const));
    expect(await readBy(base, target)).toBeGreaterThan(0.99 * 800 * 7400);
  });

  it("are no files that not everybody may read, unless that is asked for", async () => {
    const base = tarOf(["secret", content, { mode: 0o640 }]);
    expect(await readBy(base, base)).toBe(0);
    expect(await readBy(base, base, { anyMode: true })).toBe(20_000);
    expect(await checked(base, base)).toBeGreaterThan(20_000);
  });

  it("are no paths that come twice, or leave the tree, or are links or sparse", async () => {
    const twice = tarOf(["secret", content], ["./secret", "other"]);
    const outside = tarOf(["../secret", content]);
    const replaced = tarOf(["secret", content], ["secret", "", { type: "symlink", linkName: "x" }]);
    for (const base of [twice, outside, replaced]) {
      expect(await readBy(base, tarOf(["new", content]))).toBe(0);
      await checked(base, base);
    }
  });
});

describe("a delta that is made", () => {
  it("makes the new tar of the old one", async () => {
    const one = tarOf(["a/b", "hello".repeat(1000)], ["c", "x"], ["d", ""]);
    const two = tarOf(["a/b", "hello".repeat(1000)], ["e", "y"]);
    expect(await checked(one, one)).toBeLessThan(400);
    await checked(one, two);
    await checked(two, one);
    await checked(tarOf(), one);
    await checked(one, tarOf());
  });

  it("has the operations that it has had", async () => {
    const base = tarOf(
      ["lib/a", "the quick brown fox jumps over the lazy dog, again and again and again"],
      ["b", "bee"],
    );
    const target = tarOf(
      ["lib/a", "the quick brown fox leaps over the lazy dog, again and again and again!"],
      ["c", "bee"],
    );
    const ops = opsOf(
      [OP_DATA, target.subarray(0, 512)],
      [OP_OPEN, "lib/a"],
      [OP_COPY, 20],
      [OP_ADD, Buffer.of(2, 240, 244)],
      [OP_COPY, 47],
      [OP_DATA, target.subarray(512 + 70, 2 * 512 + 512)],
      [OP_OPEN, "b"],
      [OP_COPY, 3],
      [OP_DATA, target.subarray(3 * 512 + 3)],
    );
    expect(operationsOf(await diff(base, target)).toString("hex")).toBe(ops.toString("hex"));
  });

  it("is the same each time, and in any memory makes the same tar", async () => {
    const base = tarOf(["a", random(400_000)], ["b", random(300_000, 2)]);
    const target = tarOf(["a", rebuilt(random(400_000), 900)], ["b", random(300_000, 2).subarray(1000)]);
    expect((await diff(base, target)).equals(await diff(base, target))).toBe(true);
    await checked(base, target, { memory: TIGHT });
  });

  it("tells how far it is, and stops when it is told to", async () => {
    const base = tarOf(["a", random(50_000)], ["b", "x"]);
    const told: number[] = [];
    await diff(base, base, { onProgress: (bytes) => void told.push(bytes) });
    expect(told).toEqual(told.toSorted((one, other) => one - other));
    expect(told.at(-1)).toBe(base.length);
    const stop = new AbortController();
    const stopped = diff(base, base, { signal: stop.signal, onProgress: () => stop.abort(new Error("enough")) });
    await expect(stopped).rejects.toThrow("enough");
  });

  it("is of tars only", async () => {
    await expect(diff(random(5000), tarOf())).rejects.toMatchObject({ code: "LAYER_INVALID" });
    await expect(diff(tarOf(), random(5000))).rejects.toMatchObject({ code: "LAYER_INVALID" });
  });
});

describe.each([undefined, TIGHT])("files in %s bytes of memory", (memory) => {
  const options = memory === undefined ? {} : { memory };
  const content = random(700_000);
  const size = (target: Uint8Array): Promise<number> => checked(tarOf(["f", content]), tarOf(["f", target]), options);

  it("whose addresses changed cost a byte or two for each", async () => {
    expect(await size(rebuilt(content, 100))).toBeLessThan(7000 * 2);
  });

  it("that have something put in, or taken out, or both cost just that", async () => {
    const some = random(10_000, 3);
    expect(await size(Buffer.concat([some, content]))).toBeLessThan(10_500);
    expect(await size(Buffer.concat([content, some]))).toBeLessThan(10_500);
    expect(await size(content.subarray(50_000))).toBeLessThan(600);
    // Each of the parts moves farther than the last: what is looked at moves with them.
    const parts = Array.from({ length: 7 }, (_, at) => content.subarray(at * 100_000, (at + 1) * 100_000));
    expect(await size(Buffer.concat(parts.flatMap((part) => [part, some])))).toBeLessThan(
      12_000 * (memory === undefined ? 1 : 7),
    );
  });

  it("of one byte, or of few, are no trouble", async () => {
    const zeros = tarOf(["f", Buffer.alloc(600_000)]);
    const other = tarOf(["f", Buffer.alloc(800_000, 1)]);
    for (const [one, two] of [
      [zeros, other],
      [other, zeros],
    ] as const)
      expect(await checked(one, two, options)).toBeLessThan(2000);
    for (const length of [1, 11, 12, 13, 64]) {
      await checked(tarOf(["f", content.subarray(0, length)]), tarOf(["f", content.subarray(0, length + 1)]), options);
    }
  });
});

const PARTS = [
  random(1000),
  random(1000, 2),
  Buffer.alloc(1000),
  Buffer.alloc(1000, "ab"),
  random(1000).map((byte) => byte & 1),
];
const content = fc
  .array(fc.tuple(fc.nat(4), fc.nat(400), fc.nat(600)), { maxLength: 12 })
  .map((parts) => Buffer.concat(parts.map(([kind, from, length]) => PARTS[kind]!.subarray(from, from + length))));
const members = fc.uniqueArray(fc.tuple(fc.constantFrom("a", "b", "c/d", "c/d.1", "e"), content), {
  maxLength: 5,
  selector: ([name]) => name,
});

it("whatever the tars are, anybody can make the new one of the delta and the old files", async () => {
  await fc.assert(
    fc.asyncProperty(members, members, async (one, two) => {
      const [base, target] = [tarOf(...(one as Member[])), tarOf(...(two as Member[]))];
      const delta = await diff(base, target, { memory: TIGHT });
      expect(applyPlainly(new Map(one), delta).equals(target)).toBe(true);
      expect((await apply(base, delta, { piece: 77 })).bytes.equals(target)).toBe(true);
    }),
    { numRuns: 25 },
  );
});
