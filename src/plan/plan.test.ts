/** Planners are pure: whatever the facts, their recipes make exactly the target. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { segmentLength, type Recipe, type Segment } from "../recipe/segment.ts";
import { RangeSet } from "../store/range-set.ts";
import { choose, estimate, ratesOf } from "./choose.ts";
import { connectionsFor, planFull } from "./full.ts";
import { costOf, type Cost, type How, type Plan } from "./plan.ts";
import { gapBytesFor } from "./near-frames.ts";
import { planResume } from "./resume.ts";

const MIB = 1 << 20;
const blobOf = (size: number): { mediaType: string; digest: ReturnType<typeof digestOf>; size: number } => ({
  mediaType: "application/octet-stream",
  digest: digestOf(`blob of ${size}`),
  size,
});
const list = (recipe: Recipe): Segment[] => [...(recipe.segments as Iterable<Segment>)];

describe("planFull", () => {
  it("makes the whole blob in order, whatever the options", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 2 ** 40 }),
        fc.option(fc.boolean(), { nil: undefined }),
        fc.integer({ min: 0, max: 64 }),
        fc.nat({ max: 256 * MIB }),
        (size, ranges, connections, rangeSize) => {
          const plan = planFull(blobOf(size), { ranges, connections, rangeSize: Math.max(rangeSize, size / 1000) });
          let position = 0;
          for (const segment of list(plan.recipe)) {
            expect(segment).toMatchObject({ kind: "remote", start: position });
            position += segmentLength(segment);
          }
          expect(position).toBe(size);
          expect(plan).toMatchObject({ how: "full", cost: { network: size, local: 0, data: 0, zero: 0 } });
          expect(plan.cost.requests).toBe(list(plan.recipe).length);
          if (ranges === false || connections <= 1) expect(plan.cost.requests).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it.each([
    ["a small blob", 63 * MIB, { ranges: true, connections: 4 }, 1],
    ["a large blob with idle connections", 64 * MIB, { ranges: true, connections: 4 }, 4],
    ["one where nobody knows of ranges", 64 * MIB, { connections: 4 }, 4],
    ["one whose registry has no ranges", 1024 * MIB, { ranges: false, connections: 4 }, 1],
    ["one among many layers", 1024 * MIB, { ranges: true, connections: 1 }, 1],
    ["a very large one", 1024 * MIB, { ranges: true, connections: 4 }, 16],
    ["a huge one", 8192 * MIB, { ranges: true, connections: 4 }, 128],
    ["one of a size that only an attacker claims", 2 ** 53 - 1, { ranges: true, connections: 4 }, 4096],
    ["one with ranges that are too small", 64 * MIB, { ranges: true, connections: 4, rangeSize: 1 }, 8],
    ["an empty one", 0, { ranges: true, connections: 4 }, 0],
  ])("fetches %s in so many requests", (_, size, options, requests) => {
    expect(planFull(blobOf(size), options).cost.requests).toBe(requests);
  });

  it("shares the connections among the layers left", () => {
    expect([1, 2, 3, 4, 5, 0].map((left) => connectionsFor(left, 4))).toEqual([4, 2, 1, 1, 1, 4]);
  });
});

const ranges = (size: number): fc.Arbitrary<{ start: number; end: number }[]> =>
  fc.array(
    fc
      .tuple(fc.nat({ max: size + 50 }), fc.nat({ max: 300 }))
      .map(([start, length]) => ({ start, end: start + length })),
  );

const arbitrarySegments = fc.array(
  fc.tuple(fc.constantFrom("remote", "local", "data", "zero"), fc.nat({ max: 400 }), fc.boolean()),
  { maxLength: 12 },
);

function planOf(sketch: readonly (readonly [string, number, boolean])[]): Plan {
  const blob = blobOf(1_000_000);
  const segments = sketch.map(([kind, length, checked], index): Segment => {
    const digest = checked ? { digest: digestOf(`piece ${index}`) } : {};
    if (kind === "remote") return { kind, blob, start: index * 1000, length, ...digest };
    if (kind === "local") return { kind, path: "/file", start: index * 1000, length, ...digest };
    return kind === "data" ? { kind, bytes: new Uint8Array(length).fill(index) } : { kind: "zero", length };
  });
  const size = segments.reduce((sum, segment) => sum + segmentLength(segment), 0);
  return {
    how: "disk",
    recipe: { target: { digest: digestOf("t"), size }, segments },
    cost: costOf(segments),
    why: "it is",
  };
}

describe("planResume", () => {
  it("makes what is done and what is planned exactly the target", () => {
    fc.assert(
      fc.property(arbitrarySegments, ranges(4000), (sketch, done) => {
        const plan = planOf(sketch);
        const { target } = plan.recipe;
        const held = new RangeSet(done);
        const resumed = planResume(plan, done);
        const before = list(plan.recipe);
        let position = 0;
        const planned = new RangeSet();
        for (const segment of list(resumed.recipe)) {
          const end = position + segmentLength(segment);
          if (segment.kind === "held") {
            expect(held.has(position, end)).toBe(true);
          } else {
            planned.add(position, end);
            // Only a piece with a digest is planned although some of it is here.
            if (!("digest" in segment)) expect(held.overlaps(position, end)).toBe(false);
            expect(held.has(position, end) && end > position).toBe(false);
          }
          position = end;
        }
        expect(position).toBe(target.size);
        for (const { start, end } of held.within(0, target.size)) planned.add(start, end);
        expect(planned.bytes).toBe(target.size);
        expect(resumed.cost).toEqual(costOf(list(resumed.recipe)));
        expect(list(plan.recipe)).toEqual(before);
      }),
    );
  });

  it("gives each byte the source it had", () => {
    const { recipe } = planResume(
      planOf([
        ["remote", 100, false],
        ["data", 50, false],
      ]),
      [{ start: 40, end: 120 }],
    );
    expect(list(recipe)).toMatchObject([
      { kind: "remote", start: 0, length: 40 },
      { kind: "held", length: 60 },
      { kind: "held", length: 20 },
      { kind: "data", bytes: new Uint8Array(30).fill(1) },
    ]);
  });

  it("calls a plain pull resumed, leaves other names, and does nothing when nothing is done", () => {
    const full = planFull(blobOf(100));
    expect(planResume(full, [])).toBe(full);
    expect(planResume(full, [{ start: 0, end: 10 }])).toMatchObject({
      how: "resumed",
      cost: { network: 90, requests: 1 },
    });
    expect(planResume(planOf([["zero", 9, false]]), [{ start: 0, end: 4 }])).toMatchObject({
      how: "disk",
      cost: { zero: 5 },
    });
  });

  it("reads a recipe that is told step by step only when it is carried out", async () => {
    const { recipe, ...rest } = planOf([
      ["remote", 100, false],
      ["remote", 100, false],
    ]);
    let told = 0;
    const segments = (async function* () {
      for (const segment of list(recipe)) {
        told++;
        yield segment;
      }
    })();
    const resumed = planResume({ ...rest, recipe: { ...recipe, segments } }, [{ start: 0, end: 50 }]);
    expect(told).toBe(0);
    expect(resumed.cost.network).toBe(150);
    expect((await Array.fromAsync(resumed.recipe.segments)).map(({ kind }) => kind)).toEqual([
      "held",
      "remote",
      "remote",
    ]);
  });
});

const plan = (how: How, cost: Partial<Cost>): Plan => ({
  ...planFull(blobOf(0)),
  how,
  why: "so",
  cost: { network: 0, local: 0, data: 0, zero: 0, requests: 0, ...cost },
});

describe("choose", () => {
  it("takes the cheapest, and says what that saves", () => {
    const full = plan("full", { network: 100 * MIB, requests: 1 });
    const chunked = plan("zstd-chunked", { network: 10 * MIB, local: 200 * MIB, requests: 20 });
    const choice = choose([full, chunked]);
    expect(choice.plan).toBe(chunked);
    expect(choice.ranked).toEqual([chunked, full]);
    expect(choice.why).toBe(`zstd-chunked: so; ${90 * MIB} bytes less from the network than full`);
  });

  it("does not buy few bytes with many requests", () => {
    const full = plan("full", { network: 1000_000, requests: 1 });
    const crumbs = plan("estargz", { network: 900_000, requests: 500 });
    expect(choose([crumbs, full]).plan).toBe(full);
    expect(choose([crumbs, full], { request: 0 }).plan).toBe(crumbs);
  });

  it("ranks the same however the plans are ordered, and by their order only when all is equal", () => {
    const cost = fc.record({
      network: fc.nat(9),
      local: fc.nat(9),
      data: fc.nat(9),
      zero: fc.nat(9),
      requests: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(cost, { minLength: 1, maxLength: 6 }), (costs) => {
        const plans = costs.map((each) => plan("full", each));
        const forward = choose(plans).ranked.map((each) => each.cost);
        expect(choose(plans.toReversed()).ranked.map((each) => each.cost)).toEqual(forward);
        const seconds = forward.map((each) => estimate(each));
        expect(seconds).toEqual(seconds.toSorted((a, b) => a - b));
      }),
    );
    const [one, two] = [plan("estargz", { network: 5 }), plan("disk", { network: 5 })];
    expect(choose([one, two]).plan).toBe(one);
    expect(choose([two, one]).plan).toBe(two);
  });

  it("weighs bytes and requests by what was measured of the connection, within reason", () => {
    const full = plan("full", { network: 10_000_000, requests: 1 });
    const crumbs = plan("estargz", { network: 2_000_000, requests: 60 });
    const over = (latencyMs: number, bytesPerSecond: number): Plan =>
      choose([full, crumbs], ratesOf({ latencyMs, bytesPerSecond })).plan;
    expect(over(40, 12_500_000)).toBe(crumbs);
    expect(over(400, 12_500_000)).toBe(full);
    expect(over(400, 1_250_000)).toBe(crumbs);
    expect(ratesOf({})).toEqual({});
    expect(ratesOf({ latencyMs: 0, bytesPerSecond: 5e9 })).toEqual({ network: 100e6, request: 0 });
    expect(ratesOf({ latencyMs: 1e6, bytesPerSecond: 1 })).toEqual({ network: 10e3, request: 5 });
    // Of a line that nothing came over yet, its latency says what may be.
    expect(ratesOf({ latencyMs: 2 })).toEqual({ request: 0.0005 });
    expect(ratesOf({ latencyMs: 100 })).toEqual({ network: 2_621_440, request: 0.025 });
  });

  it("needs a plan to choose from", () => {
    expect(() => choose([])).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });
});

describe("gapBytesFor", () => {
  const frames = (...gaps: number[]): Segment[] => {
    let start = 0;
    return gaps.map((gap) => {
      start += gap + 1000;
      return { kind: "frames", blob: blobOf(1 << 30), start: start - 1000, length: 1000, codec: "zstd", size: 2000 };
    });
  };
  const far = { network: 1e6, request: 0.1 };

  it("reads over a KiB whatever the line, and never over more than a request takes", () => {
    expect(gapBytesFor([], far)).toBe(1024);
    expect(gapBytesFor(frames(0, 900, 900, 900), { network: 1e3, request: 0 })).toBe(1024);
    const wide = frames(...Array.from({ length: 1000 }, () => 0), 20_000, 0);
    expect(gapBytesFor(wide, far)).toBe(20_000);
    expect(gapBytesFor(wide, { network: 1e6, request: 0.01 })).toBe(1024);
  });

  it("spends little on gaps, the narrow ones first", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 100_000 }), { minLength: 1 }), (gaps) => {
        const segments = frames(0, ...gaps);
        const gapBytes = gapBytesFor(segments, far);
        const narrow = costOf(segments, 1024);
        const cost = costOf(segments, gapBytes);
        expect(cost.requests).toBeLessThanOrEqual(narrow.requests);
        expect(cost.network).toBeLessThanOrEqual(Math.max(narrow.network, 1.04 * 1000 * segments.length));
      }),
    );
  });
});
