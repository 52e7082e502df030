import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { cook, sketches, type Kitchen } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import { assemble } from "./assembler.ts";
import { TransferBudget } from "./limiter.ts";

/** Small buffers, so that pieces are longer and shorter than one. */
const SMALL = 4 * 3 * (64 << 10);

let dir: TempDir;
beforeAll(async () => void (dir = await tempDir()));
afterAll(() => dir[Symbol.asyncDispose]());

let files = 0;
const fresh = (): string => join(dir.path, `ingest-${files++}`);

function sums({ segments }: Kitchen): Record<string, number> {
  const sum: Record<string, number> = { remote: 0, local: 0, data: 0, zero: 0 };
  for (const segment of segments) {
    sum[segment.kind]! += segment.kind === "data" ? segment.bytes.length : segment.length;
  }
  return sum;
}

describe("assemble", () => {
  it("makes exactly the bytes of any recipe, and accounts for every one of them", async () => {
    await fc.assert(
      fc.asyncProperty(
        sketches(300_000),
        fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom("sha256" as const, "sha512" as const),
        fc.boolean(),
        async (plan, chunks, concurrency, algorithm, lazy) => {
          let next = 0;
          const kitchen = await cook(dir.path, plan, { chunk: () => chunks[next++ % chunks.length]!, algorithm });
          const { recipe, blobs, bytes } = kitchen;
          await using ingest = await FileIngest.open({ path: fresh(), ...recipe.target });
          const segments = lazy
            ? (async function* () {
                yield* recipe.segments;
              })()
            : recipe.segments;
          const options = { ingest, blobs, concurrency, memoryBytes: SMALL };
          const report = await assemble({ ...recipe, segments }, options);
          expect(Buffer.compare(await readFile(ingest.path), bytes)).toBe(0);
          expect(report).toMatchObject({ ...recipe.target, fallbacks: [], resumedBytes: 0, retries: 0 });
          const { remote, ...others } = sums(kitchen);
          expect(report.bytes).toEqual({ ...others, network: remote });
          expect(report.requests).toBe(blobs.requests.length);
          expect(blobs.peakActive).toBeLessThanOrEqual(concurrency);
          expect(ingest.peakBytesInFlight).toBeLessThanOrEqual(SMALL);
          expect(blobs.active).toBe(0);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("shares one budget between assemblies", async () => {
    const budget = new TransferBudget({ concurrency: 2, memoryBytes: SMALL });
    const plan = Array.from({ length: 5 }, () => ({ kind: "remote" as const, length: 100_003, checked: false }));
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const { recipe, blobs } = await cook(dir.path, plan);
        await using ingest = await FileIngest.open({ path: fresh(), ...recipe.target });
        await assemble(recipe, { ingest, blobs, budget });
      }),
    );
    expect(budget.peak).toBe(2);
    expect(budget.active).toBe(0);
    expect(budget.memoryBytes).toBeLessThanOrEqual(SMALL);
  });
});
