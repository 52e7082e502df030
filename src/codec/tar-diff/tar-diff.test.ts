/** Deltas of tars: what is made makes the new tar again, whatever the tars; what is broken is said to be. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gather, inPieces } from "../../../test/codec/streams.ts";
import { apply, deltaOf, MAGIC, opsOf, tarOf, type Member } from "../../../test/codec/tar-diffs.ts";
import { memoryBase } from "../librsync/base.ts";
import { generateTarDiff, type GenerateOptions } from "./generate/generate.ts";
import { measureTarDiff } from "./measure.ts";
import { OP_ADD, OP_COPY, OP_DATA, OP_OPEN, OP_SEEK } from "./format.ts";

async function diff(base: Uint8Array, target: Uint8Array, options: GenerateOptions = {}): Promise<Buffer> {
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
});

describe("a delta that is read", () => {
  const base = tarOf(
    ["dir/old", "0123456789"],
    ["./other", "abc"],
    ["dir/link", "", { type: "link", linkName: "./dir/old" }],
  );

  it("copies, adds, seeks, and takes data as it is", async () => {
    const ops = opsOf(
      [OP_DATA, "<"],
      [OP_OPEN, "/./dir//old"],
      [OP_COPY, 3],
      [OP_SEEK, 8],
      [OP_COPY, 2],
      [OP_SEEK, 0],
      [OP_ADD, Buffer.of(1, 255, 2)],
      [OP_OPEN, "other"],
      [OP_COPY, 3],
      [OP_OPEN, "dir/link"],
      [OP_COPY, 1],
      [OP_DATA, ">"],
    );
    const { bytes } = await apply(base, deltaOf(ops));
    expect(bytes.toString()).toBe("<01289104abc0>");
  });

  it.each([
    ["nothing", Buffer.alloc(0)],
    ["half a header", MAGIC.subarray(0, 5)],
    ["another header", Buffer.from("tardf2\n\0rest")],
    ["a header alone", MAGIC],
    ["no zstd", Buffer.concat([MAGIC, Buffer.from("hello, hello")])],
  ])("%s is no delta", async (_, delta) => {
    await expect(apply(base, delta)).rejects.toMatchObject({ code: "DELTA_INVALID" });
  });
});

const content = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string().map((text) => Buffer.from(text.repeat(50))),
);
const members = fc.array(fc.tuple(fc.constantFrom("a", "b", "c/d", "c/d.1", "e"), content), { maxLength: 6 });

it("whatever the tars are, the delta makes the new one", async () => {
  await fc.assert(
    fc.asyncProperty(members, members, async (one, two) => {
      await checked(tarOf(...(one as Member[])), tarOf(...(two as Member[])));
    }),
    { numRuns: 60 },
  );
});
