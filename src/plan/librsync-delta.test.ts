/** Whatever a delta says and whatever is held, the segments make what the delta makes of its base, byte for byte. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { DeltaWriter } from "../codec/librsync/delta-writer.ts";
import type { SeekableTar, TarPart } from "../layer/seekable/seekable-tar.ts";
import { segmentLength, type Segment } from "../recipe/segment.ts";
import { RangeSet } from "../store/range-set.ts";
import { inPieces } from "../../test/codec/streams.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { librsyncSegments, measureDelta } from "./librsync-delta.ts";

const BASE = noise(700_000, "base");
const PATH = "/base";

/** A tar of which every `every` bytes another part begins; each third one lies in no file. */
function tarOf(bytes: Uint8Array, every: number): SeekableTar {
  return {
    size: bytes.length,
    read: (into, position) => Promise.resolve(into.set(bytes.subarray(position, position + into.length))),
    *parts(start, length): Generator<TarPart> {
      for (let at = start; at < start + length;) {
        const index = Math.floor(at / every);
        const end = Math.min(start + length, (index + 1) * every);
        if (index % 3 === 2) yield { kind: "data", bytes: bytes.subarray(at, end) };
        else yield { kind: "file", path: PATH, start: at, length: end - at };
        at = end;
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

type Op = { readonly start: number; readonly length: number } | { readonly literal: Uint8Array };

const ops = fc.array(
  fc.oneof(
    fc
      .tuple(fc.nat({ max: BASE.length - 1 }), fc.oneof(fc.nat({ max: 900 }), fc.nat({ max: 400_000 })))
      .map(([start, length]): Op => ({ start, length: Math.min(1 + length, BASE.length - start) })),
    fc
      .oneof(fc.nat({ max: 90 }), fc.nat({ max: 1_300_000 }))
      .map((length): Op => ({ literal: noise(length + 1, `literal ${length}`) })),
  ),
  { maxLength: 12 },
);

function write(list: readonly Op[]): { readonly delta: Uint8Array; readonly target: Uint8Array } {
  const writer = new DeltaWriter();
  const parts: Uint8Array[] = [];
  for (const op of list) {
    if ("literal" in op) writer.literal(op.literal);
    else writer.copy(op.start, op.length);
    parts.push("literal" in op ? op.literal : BASE.subarray(op.start, op.start + op.length));
  }
  writer.end();
  return { delta: Buffer.concat(writer.take()), target: Buffer.concat(parts) };
}

/** What the segments make over what is held. */
function carryOut(segments: readonly Segment[], target: Uint8Array): Uint8Array {
  const made: Uint8Array[] = [];
  let position = 0;
  for (const segment of segments) {
    const end = position + segmentLength(segment);
    if (segment.kind === "local") made.push(BASE.subarray(segment.start, segment.start + segment.length));
    else if (segment.kind === "data") made.push(segment.bytes);
    else if (segment.kind === "held") made.push(target.subarray(position, end));
    else throw new Error(segment.kind);
    position = end;
  }
  return Buffer.concat(made);
}

it("makes the target, from any point that an earlier try had come to, as often as it is read", async () => {
  await fc.assert(
    fc.asyncProperty(
      ops,
      fc.array(fc.tuple(fc.nat(2_000_000), fc.nat(900_000)), { maxLength: 5 }),
      fc.integer({ min: 1, max: 300_000 }),
      fc.integer({ min: 1000, max: 2_000_000 }),
      async (list, runs, every, piece) => {
        const { delta, target } = write(list);
        let held = new RangeSet(
          runs
            .map(([start, length]) => ({ start, end: Math.min(target.length, start + length) }))
            .filter(({ start, end }) => end > start),
        );
        const base = tarOf(BASE, every);
        const segments = librsyncSegments({ base, delta: () => inPieces(delta, piece), held: () => held });
        for (const again of [true, false]) {
          const told = await Array.fromAsync(segments);
          expect(Buffer.compare(carryOut(told, target), target)).toBe(0);
          const skipped = told.reduce((sum, each) => sum + (each.kind === "held" ? each.length : 0), 0);
          expect(skipped).toBe(held.bytes);
          for (const segment of told)
            if (segment.kind === "data") expect(segment.bytes.length).toBeLessThanOrEqual(1 << 20);
          if (again) held = new RangeSet();
        }
        const told = await Array.fromAsync(segments);
        const local = told.reduce(
          (sum, each) => sum + (each.kind === "local" ? each.length : each.kind === "data" ? (each.local ?? 0) : 0),
          0,
        );
        const measure = await measureDelta(inPieces(delta, piece), base);
        expect(measure).toEqual({ size: target.length, local, data: target.length - local });
      },
    ),
    { numRuns: 60 },
  );
});

it("leaves long pieces of files to the assembler, and puts what is short together", async () => {
  const { delta } = write([{ start: 5, length: 300_000 }, { literal: noise(500) }, { start: 9, length: 60_000 }]);
  const told = await Array.fromAsync(librsyncSegments({ base: tarOf(BASE, 1e9), delta: () => inPieces(delta, 1000) }));
  expect(told).toMatchObject([
    { kind: "local", path: PATH, start: 5, length: 300_000 },
    { kind: "data", local: 60_000 },
  ]);
});

it("does not go on with a base that is shorter than the copies, nor with half a delta", async () => {
  const { delta } = write([{ start: 600_000, length: 100_000 }, { literal: noise(5) }]);
  const short = tarOf(BASE.subarray(0, 650_000), 1e9);
  const tell = (base: SeekableTar, bytes: Uint8Array): Promise<Segment[]> =>
    Array.fromAsync(librsyncSegments({ base, delta: () => inPieces(bytes, 100) }));
  await expect(tell(short, delta)).rejects.toMatchObject({ code: "DELTA_BASE_DIFFERS" });
  await expect(measureDelta(inPieces(delta, 9), short)).rejects.toMatchObject({ code: "DELTA_BASE_DIFFERS" });
  const whole = tarOf(BASE, 1e9);
  await expect(tell(whole, delta.subarray(0, -3))).rejects.toMatchObject({ code: "DELTA_INVALID" });
  await expect(measureDelta(inPieces(delta.subarray(0, -3), 9), whole)).rejects.toMatchObject({
    code: "DELTA_INVALID",
  });
});
