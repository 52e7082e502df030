import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { RangeSet } from "../store/range-set.ts";
import { gatherFrames, requestOf, type Task } from "./gather.ts";
import { segmentLength, type FramesSegment, type Segment } from "./segment.ts";
import { tasksOf } from "./tasks.ts";

const MIB = 1 << 20;
const blob = { mediaType: "application/octet-stream", digest: digestOf("blob"), size: 2 ** 40 };
const other = { ...blob, digest: digestOf("other blob") };
const frames = (start: number, length: number, extra: Partial<FramesSegment> = {}): Segment => {
  return { kind: "frames", blob, start, length, codec: "zstd", size: 10, ...extra };
};
const data: Segment = { kind: "data", bytes: new Uint8Array(5) };
const local = (length: number): Segment => ({ kind: "local", path: "/f", start: 0, length });

const requests = (segments: readonly Segment[], gapBytes?: number): unknown =>
  [...gatherFrames({ segments, gapBytes })].map((task) => {
    const request = requestOf(task);
    return request === undefined ? undefined : [request.start, request.end];
  });

describe("frames of a recipe", () => {
  it("come with one request when they follow each other, whatever lies between them in the target", () => {
    const zero: Segment = { kind: "zero", length: 7 };
    expect(requests([data, frames(0, 10), data, frames(10, 5), zero, local(9), frames(15, 1), data])).toEqual([
      [0, 16],
    ]);
  });

  it("come with one request as far apart as the recipe says", () => {
    const list = [frames(100, 10), data, frames(130, 10), frames(161, 9)];
    expect(requests(list)).toEqual([
      [100, 110],
      [130, 140],
      [161, 170],
    ]);
    expect(requests(list, 20)).toEqual([
      [100, 140],
      [161, 170],
    ]);
    expect(requests(list, 21)).toEqual([[100, 170]]);
  });

  it("come apart where the blob, its order or the codec is another", () => {
    const list = [frames(0, 10), frames(10, 10, { blob: other }), frames(20, 10), frames(15, 5)];
    expect(requests([...list, frames(20, 5, { codec: "gzip" })], 100)).toEqual([
      [0, 10],
      [10, 20],
      [20, 30],
      [15, 20],
      [20, 25],
    ]);
  });

  it("come in requests that are not large, unless one piece is, and do not wait for long copies", () => {
    const list = Array.from({ length: 20 }, (_, index) => frames(index * MIB, MIB));
    expect(requests(list)).toEqual([
      [0, 8 * MIB],
      [8 * MIB, 16 * MIB],
      [16 * MIB, 20 * MIB],
    ]);
    expect(requests([frames(0, 50 * MIB), frames(50 * MIB, 1)])).toEqual([
      [0, 50 * MIB],
      [50 * MIB, 50 * MIB + 1],
    ]);
    expect(requests([frames(0, 10), local(9 * MIB), frames(10, 10)])).toEqual([
      [0, 10],
      [10, 20],
    ]);
  });

  it("are gathered without reading far ahead", () => {
    let told = 0;
    const segments = {
      *[Symbol.iterator](): Generator<Segment> {
        for (; told < 1_000_000; told++) yield frames(told, 1);
      },
    };
    const tasks = gatherFrames({ segments });
    for (let index = 0; index < 3; index++) expect(tasks.next().value!.parts.length).toBeLessThanOrEqual(16_384);
    expect(told).toBeLessThan(4 * 16_384);
  });

  it("are gathered by planners as by the assembler", async () => {
    const arbitrary = fc.array(
      fc.tuple(fc.constantFrom("frames", "remote", "local", "data", "zero"), fc.nat(300), fc.nat(300), fc.boolean()),
    );
    await fc.assert(
      fc.asyncProperty(arbitrary, fc.nat(400), async (sketch, gapBytes) => {
        let at = 0;
        const segments = sketch.map(([kind, length, gap, isBack]): Segment => {
          at = Math.max(0, at + (isBack ? -gap : gap));
          const start = at;
          at += length;
          if (kind === "frames") return frames(start, length, { size: gap });
          if (kind === "remote") return { kind, blob, start, length };
          if (kind === "local") return { kind, path: "/f", start, length };
          return kind === "data" ? { kind, bytes: new Uint8Array(length) } : { kind: "zero", length };
        });
        const size = segments.reduce((sum, segment) => sum + segmentLength(segment), 0);
        const recipe = { target: { digest: digestOf("target"), size }, segments, gapBytes };
        const tasks: Task[] = await Array.fromAsync(tasksOf(recipe, new RangeSet()));
        expect([...gatherFrames(recipe)]).toEqual(tasks);
      }),
    );
  });
});
