/** What must hold for every recipe, wherever it is assembled: exact bytes, exact accounts, bounds, and progress kept. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { BENCHES, type IngestBench } from "../../test/kit/recipe/ingest-benches.ts";
import { cook, noise, sketches, type Kitchen } from "../../test/kit/recipe/random-recipe.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { VarveError } from "../errors/varve-error.ts";
import { RangeSet } from "../store/range-set.ts";
import type { ByteRange } from "../store/types.ts";
import { assemble } from "./assembler.ts";
import { TransferBudget } from "./limiter.ts";
import type { Segment } from "./segment.ts";

/** Small buffers (64 KiB), so that pieces are longer and shorter than one. */
const SMALL = 4 * 3 * (64 << 10);

/** Bytes of each kind in the recipe, outside of what is held. */
function wanted({ segments, places }: Kitchen, held: readonly ByteRange[] = []): Record<Segment["kind"], number> {
  const sum = { remote: 0, frames: 0, local: 0, data: 0, zero: 0, held: 0 };
  const done = new RangeSet(held);
  for (const [index, { start, end }] of places.entries()) {
    sum[segments[index]!.kind] += new RangeSet(done.missing(start, end)).bytes;
  }
  return sum;
}

describe.each(Object.entries(BENCHES))("assemble in %s", (_, makeBench) => {
  let bench: IngestBench;
  beforeAll(async () => void (bench = await makeBench()));
  afterAll(() => bench[Symbol.asyncDispose]());

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
          const kitchen = await cook(bench.dir, plan, { chunk: () => chunks[next++ % chunks.length]!, algorithm });
          const { recipe, blobs, bytes } = kitchen;
          await using ingest = await bench.open(recipe.target);
          const segments = lazy ? toAsync(recipe.segments) : recipe.segments;
          const options = { ingest, blobs, concurrency, memoryBytes: SMALL };
          const report = await assemble({ ...recipe, segments }, options);
          expect(Buffer.compare(await readFile(ingest.path), bytes)).toBe(0);
          expect(report).toMatchObject({ ...recipe.target, fallbacks: [], resumedBytes: 0, retries: 0 });
          const { remote: network, local, data, zero } = wanted(kitchen);
          expect(report.bytes).toEqual({ network, local, data, zero });
          expect(report.requests).toBe(blobs.requests.length);
          expect(blobs.peakActive).toBeLessThanOrEqual(concurrency);
          expect(blobs.active).toBe(0);
          await ingest.discard();
        },
      ),
      { numRuns: 80 },
    );
  });

  it("keeps what it has, wherever it fails, and the next one fetches only what is missing", async () => {
    await fc.assert(
      fc.asyncProperty(
        sketches(250_000),
        fc.nat({ max: 40 }),
        fc.constantFrom("source", "abort"),
        async (plan, after, how) => {
          const stop = new AbortController();
          let countdown = after;
          const kitchen = await cook(bench.dir, plan, {
            chunk: () => 40_000,
            onChunk: () => {
              if (countdown-- !== 0) return;
              if (how === "source") throw new VarveError("REGISTRY_UNAVAILABLE", "the registry is on fire");
              stop.abort();
            },
          });
          const { recipe, blobs, bytes } = kitchen;
          const budget = new TransferBudget({ memoryBytes: SMALL });
          let error: unknown;
          let left: readonly ByteRange[];
          {
            await using first = await bench.open(recipe.target);
            await assemble(recipe, { ingest: first, blobs, budget, signal: stop.signal }).catch((thrown: unknown) => {
              error = thrown;
            });
            expect(budget.active).toBe(0);
            left = first.done;
            // Sources are let go of, never waited for: one that was asked for its next chunk ends when it has it.
            await expect.poll(() => blobs.active).toBe(0);
            if (countdown >= 0) await first.discard();
          }
          if (countdown >= 0) {
            expect(error).toBeUndefined();
            return;
          }
          expect(error).toMatchObject({ code: how === "source" ? "REGISTRY_UNAVAILABLE" : "INTERRUPTED" });

          const before = blobs.served;
          await using second = await bench.open(recipe.target);
          expect(second.resumed).toEqual(left);
          const report = await assemble(recipe, { ingest: second, blobs, budget });
          expect(Buffer.compare(await readFile(second.path), bytes)).toBe(0);
          expect(report.bytes.network).toBe(wanted(kitchen, left).remote);
          expect(report.bytes.network).toBe(blobs.served - before);
          expect(report.resumedBytes).toBe(new RangeSet(left).bytes);
          await second.discard();
        },
      ),
      { numRuns: 80 },
    );
  });
});

describe("the bounds of assembling", () => {
  it("hold for all assemblies that share a budget", async () => {
    await using dir = await tempDir();
    const budget = new TransferBudget({ concurrency: 2, memoryBytes: SMALL });
    let inFlight = 0;
    let peak = 0;
    const plan = Array.from({ length: 5 }, () => ({ kind: "remote" as const, length: 200_003, checked: false }));
    await Promise.all(
      Array.from({ length: 4 }, async (_, index) => {
        const { recipe, blobs } = await cook(dir.path, plan);
        await using ingest = await FileIngest.open({
          path: join(dir.path, `ingest-${index}`),
          ...recipe.target,
          onWrite: async (_position, length) => {
            peak = Math.max(peak, (inFlight += length));
            await Promise.resolve();
            inFlight -= length;
          },
        });
        await assemble(recipe, { ingest, blobs, budget });
      }),
    );
    expect(budget).toMatchObject({ peak: 2, active: 0 });
    expect(budget.memoryBytes).toBe(2 * 3 * budget.bufferBytes);
    expect(budget.memoryBytes).toBeLessThanOrEqual(SMALL);
    expect(peak).toBeLessThanOrEqual(budget.memoryBytes);
  });

  it("stop the network when the disk stands still", async () => {
    await using dir = await tempDir();
    const blobs = new MemoryBlobs();
    const blob = blobs.add(noise(20 << 20));
    const half = blob.size / 2;
    const segments: Segment[] = [0, half].map((start) => ({ kind: "remote", blob, start, length: half }));
    const recipe = { target: { digest: blob.digest, size: blob.size }, segments };
    const gate = Promise.withResolvers<void>();
    const path = join(dir.path, "ingest");
    await using ingest = await FileIngest.open({ path, ...recipe.target, onWrite: () => gate.promise });
    const budget = new TransferBudget({ concurrency: 2, memoryBytes: 2 * 3 * (64 << 10) });
    const assembling = assemble(recipe, { ingest, blobs, budget });
    // Nothing is under way any more when many turns of the event loop bring no byte.
    for (let served = -1, quiet = 0; quiet < 100; quiet++) {
      if (served !== blobs.served) quiet = 0;
      served = blobs.served;
      await new Promise(setImmediate);
    }
    expect(blobs.served).toBeGreaterThan(0);
    expect(blobs.served).toBeLessThanOrEqual(budget.memoryBytes + 2 * (64 << 10));
    gate.resolve();
    expect(await assembling).toMatchObject(recipe.target);
  });

  it("hold a recipe of many segments back until there is room for the next", async () => {
    await using dir = await tempDir();
    const count = 300_000;
    const bytes = noise(count * 3);
    const target = { digest: new MemoryBlobs().add(bytes).digest, size: bytes.length };
    let told = 0;
    let ahead = 0;
    const path = join(dir.path, "ingest");
    const onWrite = (position: number): void => void (ahead = Math.max(ahead, told - position / 3));
    await using ingest = await FileIngest.open({ path, ...target, onWrite });
    const segments = (function* (): Generator<Segment> {
      for (; told < count; told++) yield { kind: "data", bytes: bytes.subarray(told * 3, told * 3 + 3) };
    })();
    const report = await assemble({ target, segments }, { ingest, blobs: new MemoryBlobs(), memoryBytes: SMALL });
    expect(report.bytes.data).toBe(bytes.length);
    // Four tasks at work and one being collected, 1024 parts each.
    expect(ahead).toBeLessThanOrEqual(6 * 1024);
  });
});

async function* toAsync(segments: Iterable<Segment> | AsyncIterable<Segment>): AsyncGenerator<Segment> {
  yield* segments;
}
