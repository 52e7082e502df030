/** Recipes with frames of compressed blobs: exact bytes, the cost that was planned, and coded errors whatever the frames hold. */
import { readFile, truncate } from "node:fs/promises";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cookFrames, framesSketches, type FramesSketch } from "../../test/kit/recipe/frames-recipe.ts";
import { BENCHES, type IngestBench } from "../../test/kit/recipe/ingest-benches.ts";
import { VarveError } from "../errors/varve-error.ts";
import { costOf, type Plan } from "../plan/plan.ts";
import { planResume } from "../plan/resume.ts";
import { RangeSet } from "../store/range-set.ts";
import type { ByteRange } from "../store/types.ts";
import { assemble, type Replanned } from "./assembler.ts";
import { TransferBudget } from "./limiter.ts";
import type { LocalSegment, Recipe, Segment } from "./segment.ts";

/** Small buffers (64 KiB), so that pieces are longer and shorter than one. */
const SMALL = 4 * 3 * (64 << 10);

const codecs = fc.constantFrom("zstd" as const, "gzip" as const, "lz4-frames" as const, "apple-lz4" as const);
const gaps = fc.constantFrom(undefined, 0, 40, 200, 1 << 20);

const planOf = (recipe: Recipe): Plan => {
  const cost = costOf(recipe.segments as Iterable<Segment>, recipe.gapBytes);
  return { how: "zstd-chunked", recipe, cost, why: "it is" };
};

describe.each(Object.entries(BENCHES))("assemble frames in %s", (_, makeBench) => {
  let bench: IngestBench;
  beforeAll(async () => void (bench = await makeBench()));
  afterAll(() => bench[Symbol.asyncDispose]());

  it("makes exactly the bytes, and moves exactly what was planned", async () => {
    await fc.assert(
      fc.asyncProperty(
        framesSketches(300_000),
        fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 6 }),
        codecs,
        gaps,
        async (sketch, chunks, concurrency, codec, gapBytes) => {
          let next = 0;
          const chunk = (): number => Math.max(chunks[next++ % chunks.length]!, 200);
          const { recipe, blobs, bytes } = await cookFrames(bench.dir, sketch, {
            codec,
            chunk,
            ...(gapBytes !== undefined && { gapBytes }),
          });
          const { cost } = planOf(recipe);
          await using ingest = await bench.open(recipe.target);
          const report = await assemble(recipe, { ingest, blobs, concurrency, memoryBytes: SMALL });
          expect(Buffer.compare(await readFile(ingest.path), bytes)).toBe(0);
          const { requests, ...moved } = cost;
          expect(report).toMatchObject({ ...recipe.target, fallbacks: [], resumedBytes: 0, requests, bytes: moved });
          expect(blobs.requests).toHaveLength(requests);
          expect(blobs.active).toBe(0);
          await ingest.discard();
        },
      ),
      { numRuns: 60 },
    );
  });

  it("goes on by another plan where a local file has changed, and gets no frame twice that came right", async () => {
    const sketch = Array.from({ length: 30 }, (_, index): FramesSketch => {
      const kind = index === 20 ? "local" : index % 2 === 0 ? "frames" : "data";
      return { kind, length: 20_000 + index, checked: true, frames: 2, skip: 0, rest: 0, gap: 0 };
    });
    const { recipe, blobs, bytes } = await cookFrames(bench.dir, sketch);
    const { start, end } = { start: 20 * 20_000 + 190, end: 21 * 20_000 + 210 };
    const segments = [...(recipe.segments as Segment[])];
    const changed = segments[20] as LocalSegment;
    await truncate(changed.path, changed.length - 1);
    await using ingest = await bench.open(recipe.target);
    const replan = (error: VarveError): Replanned => {
      expect(error).toMatchObject({ code: "SOURCE_CHANGED", detail: { segment: changed } });
      const instead: Segment = { kind: "data", bytes: bytes.subarray(start, end) };
      return { recipe: { ...recipe, segments: segments.with(20, instead) }, from: "zstd-chunked" };
    };
    const report = await assemble(recipe, { ingest, blobs, replan });
    expect(Buffer.compare(await readFile(ingest.path), bytes)).toBe(0);
    expect(report.fallbacks).toMatchObject([{ from: "zstd-chunked" }]);
    // All came with one request; of what lies behind the bad piece nothing had been decompressed yet.
    const behind = segments.slice(20).reduce((sum, segment) => sum + ("blob" in segment ? segment.length : 0), 0);
    expect(blobs.requests.map(({ range }) => range!.end - range!.start)).toEqual([expect.any(Number), behind]);
    await ingest.discard();
  });

  it("goes on with what is missing, wherever it fails", async () => {
    await fc.assert(
      fc.asyncProperty(
        framesSketches(200_000),
        fc.nat({ max: 30 }),
        codecs,
        gaps,
        async (sketch, after, codec, gapBytes) => {
          let countdown = after;
          const { recipe, blobs, bytes } = await cookFrames(bench.dir, sketch, {
            codec,
            chunk: () => 20_000,
            onChunk: () => {
              if (countdown-- === 0) throw new VarveError("REGISTRY_UNAVAILABLE", "the registry is on fire");
            },
            ...(gapBytes !== undefined && { gapBytes }),
          });
          const budget = new TransferBudget({ memoryBytes: SMALL });
          let left: readonly ByteRange[];
          {
            await using first = await bench.open(recipe.target);
            const failed = await assemble(recipe, { ingest: first, blobs, budget }).then(
              () => false,
              () => true,
            );
            left = first.done;
            await expect.poll(() => blobs.active).toBe(0);
            if (!failed) return first.discard();
          }
          await using second = await bench.open(recipe.target);
          const { cost } = planResume(planOf(recipe), left);
          const report = await assemble(recipe, { ingest: second, blobs, budget });
          expect(Buffer.compare(await readFile(second.path), bytes)).toBe(0);
          expect(report).toMatchObject({ bytes: { network: cost.network }, requests: cost.requests });
          expect(report.resumedBytes).toBe(new RangeSet(left).bytes);
          await second.discard();
        },
      ),
      { numRuns: 60 },
    );
  });
});
