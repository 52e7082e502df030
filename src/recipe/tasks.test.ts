import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { costOf } from "../plan/plan.ts";
import { RangeSet } from "../store/range-set.ts";
import type { Task } from "./gather.ts";
import type { Segment } from "./segment.ts";
import { tasksOf } from "./tasks.ts";

const blob = { mediaType: "application/octet-stream", digest: digestOf("blob"), size: 1 << 30 };
const remote = (start: number, length: number, extra = {}): Segment => ({
  kind: "remote",
  blob,
  start,
  length,
  ...extra,
});

const local = (start: number, length: number, extra = {}): Segment => ({
  kind: "local",
  path: "/f",
  start,
  length,
  ...extra,
});

function tasks(
  segments: readonly Segment[],
  size: number,
  done: readonly (readonly [number, number])[] = [],
): Promise<Task[]> {
  const ranges = new RangeSet(done.map(([start, end]) => ({ start, end })));
  return Array.fromAsync(tasksOf({ target: { digest: digestOf("target"), size }, segments }, ranges));
}

const shape = (list: readonly Task[]): unknown => list.map(({ parts }) => parts.map(({ position }) => position));

describe("tasks of a recipe", () => {
  it("are one request for small ranges that follow each other in the blob", async () => {
    expect(shape(await tasks([remote(5, 10), remote(15, 10), remote(26, 10)], 30))).toEqual([[0, 10], [20]]);
  });

  it("leave apart what a planner cut to be fetched in parallel", async () => {
    const range = 16 << 20;
    expect(shape(await tasks([remote(0, range), remote(range, range)], 2 * range))).toEqual([[0], [range]]);
  });

  it("read a file in one go where segments follow each other in it, and make one hole of zeros in a row", async () => {
    const zero: Segment = { kind: "zero", length: 5 };
    const piece = { digest: digestOf("piece") };
    const list = await tasks([local(0, 5), local(5, 5), local(11, 5), local(16, 5, piece), zero, zero], 30);
    expect(list).toHaveLength(1);
    expect(list[0]!.parts).toEqual([
      { position: 0, segment: local(0, 10), held: [] },
      { position: 10, segment: local(11, 5), held: [] },
      { position: 15, segment: local(16, 5, piece), held: [] },
      { position: 20, segment: { kind: "zero", length: 10 }, held: [] },
    ]);
  });

  it("count what was read from here as such, however it is cut", async () => {
    const data: Segment = { kind: "data", bytes: Buffer.alloc(30), local: 12 };
    const parts = (await tasks([data], 30, [[10, 11]])).flatMap((task) => task.parts);
    expect(parts).toMatchObject([
      { position: 0, segment: { local: 10 } },
      { position: 11, segment: { local: 1 } },
    ]);
    expect(costOf([data])).toMatchObject({ local: 12, data: 18 });
  });

  it("have no more than a few MiB of literals each", async () => {
    const list = await tasks(
      Array.from({ length: 8 }, (): Segment => ({ kind: "data", bytes: Buffer.alloc(1 << 20) })),
      8 << 20,
    );
    expect(list).toHaveLength(4);
  });

  it("cut away what is done, but never cut a piece with a digest", async () => {
    const piece = { digest: digestOf("piece") };
    const list = await tasks([remote(0, 10), remote(10, 10, piece), remote(20, 10, piece)], 30, [
      [2, 4],
      [12, 30],
    ]);
    expect(list.flatMap(({ parts }) => parts)).toMatchObject([
      { position: 0, segment: { start: 0, length: 2 }, held: [] },
      { position: 4, segment: { start: 4, length: 6 }, held: [] },
      { position: 10, segment: { start: 10, length: 10 }, held: [{ start: 12, end: 20 }] },
    ]);
  });

  it("are made only as far as they are asked for", async () => {
    let told = 0;
    const segments = {
      *[Symbol.iterator](): Generator<Segment> {
        for (; told < 10_000_000; told++) yield { kind: "data", bytes: Buffer.of(1) };
      },
    };
    const feed = tasksOf({ target: { digest: digestOf("target"), size: 10_000_000 }, segments }, new RangeSet());
    for (let i = 0; i < 3; i++) await feed.next();
    await feed.return();
    expect(told).toBeLessThan(4096);
  });
});
