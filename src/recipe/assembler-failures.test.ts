/** What is left when an assembly fails or is interrupted, and what the next one makes of it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { FileIngest, type FileIngestOptions } from "../../test/kit/recipe/file-ingest.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import { VarveError } from "../errors/varve-error.ts";
import { digestOf } from "../oci/digest.ts";
import { RangeSet } from "../store/range-set.ts";
import { assemble } from "./assembler.ts";
import type { Recipe, Segment } from "./segment.ts";

const BUFFER = 64 << 10;
const SMALL = 4 * 3 * BUFFER;

let dir: TempDir;
beforeAll(async () => void (dir = await tempDir()));
afterAll(() => dir[Symbol.asyncDispose]());

let files = 0;
function open(recipe: Recipe, options: Partial<FileIngestOptions> = {}): Promise<FileIngest> {
  return FileIngest.open({ path: join(dir.path, `ingest-${files++}`), ...recipe.target, ...options });
}

const boom = (): never => {
  throw new VarveError("REGISTRY_UNAVAILABLE", "the registry is on fire");
};

/** A blob as ranges of `length`; every other one comes from a second copy, so that they are not joined to one request. */
function ranged(blobs: MemoryBlobs, bytes: Uint8Array, length: number, checked = false): Recipe {
  const blob = blobs.add(bytes);
  const copy = blobs.add(bytes, digestOf(bytes, "sha512"));
  const segments: Segment[] = [];
  for (let start = 0; start < bytes.length; start += length) {
    const size = Math.min(length, bytes.length - start);
    const digest = checked ? { digest: digestOf(bytes.subarray(start, start + size)) } : {};
    segments.push({ kind: "remote", blob: segments.length % 2 === 0 ? blob : copy, start, length: size, ...digest });
  }
  return { target: { digest: blob.digest, size: blob.size }, segments };
}

describe("a failed assembly", () => {
  it("leaves nothing to fetch when everything was done", async () => {
    const blobs = new MemoryBlobs();
    const recipe = ranged(blobs, noise(500_000), 100_000);
    await using first = await open(recipe);
    await assemble(recipe, { ingest: first, blobs });
    await using second = await open(recipe, { path: first.path, resumed: first.done });
    const report = await assemble(recipe, { ingest: second, blobs });
    expect(report).toMatchObject({ requests: 0, resumedBytes: 500_000, readBackBytes: 500_000 });
  });

  it("does not wait for a source that is deaf to its signal", async () => {
    const stop = new AbortController();
    const blobs = new MemoryBlobs({
      onChunk: ({ index }) => {
        if (index === 2) stop.abort(new VarveError("INTERRUPTED", "enough"));
        return new Promise(() => {});
      },
    });
    const recipe = ranged(blobs, noise(300_000), 100_000);
    await using ingest = await open(recipe);
    await expect(assemble(recipe, { ingest, blobs, signal: stop.signal })).rejects.toThrow("enough");
  });

  it("does not wait for a recipe that never tells its next segment", async () => {
    const stop = new AbortController();
    const blobs = new MemoryBlobs();
    const { target } = ranged(blobs, noise(10), 10);
    await using ingest = await open({ target, segments: [] });
    const segments = (async function* (): AsyncGenerator<Segment> {
      setImmediate(() => stop.abort());
      await new Promise(() => {});
      yield { kind: "zero", length: 1 };
    })();
    const options = { ingest, blobs, signal: stop.signal };
    await expect(assemble({ target, segments }, options)).rejects.toMatchObject({ code: "INTERRUPTED" });
  });

  it("does nothing when it was aborted before it began", async () => {
    const blobs = new MemoryBlobs();
    const recipe = ranged(blobs, noise(10), 10);
    await using ingest = await open(recipe);
    const options = { ingest, blobs, signal: AbortSignal.abort() };
    await expect(assemble(recipe, options)).rejects.toMatchObject({ code: "INTERRUPTED" });
    expect(blobs.requests).toEqual([]);
    expect(ingest.failure).toMatchObject({ code: "INTERRUPTED" });
  });

  it("stops everything when the disk is full, and asks for no other plan", async () => {
    const blobs = new MemoryBlobs();
    const recipe = ranged(blobs, noise(3_000_000), 300_000);
    let writes = 0;
    await using ingest = await open(recipe, {
      onWrite: () => {
        if (++writes >= 5) throw new VarveError("NO_SPACE", "no room");
      },
    });
    const replan = vi.fn<() => undefined>();
    const options = { ingest, blobs, memoryBytes: SMALL, replan };
    await expect(assemble(recipe, options)).rejects.toMatchObject({ code: "NO_SPACE" });
    expect(replan).not.toHaveBeenCalled();
    expect(blobs.requests.length).toBeLessThan(10);
    expect(blobs.active).toBe(0);
    expect(ingest.journal).toEqual(ingest.done);
    expect(ingest.failure).toMatchObject({ code: "NO_SPACE" });
  });

  it("throws the first error, not those that come of stopping", async () => {
    const blobs = new MemoryBlobs({
      onChunk: ({ index }) => {
        if (index === 1) boom();
      },
    });
    const recipe = ranged(blobs, noise(1_000_000), 250_000);
    await using ingest = await open(recipe);
    await expect(assemble(recipe, { ingest, blobs })).rejects.toThrow("on fire");
  });
});

describe("verification", () => {
  it("drops the partial data when the whole is wrong, and tells readers", async () => {
    const blobs = new MemoryBlobs();
    const blob = blobs.add(noise(200_000), digestOf("something else"));
    const recipe: Recipe = {
      target: { digest: blob.digest, size: blob.size },
      segments: [{ kind: "remote", blob, start: 0, length: blob.size }],
    };
    await using ingest = await open(recipe);
    const error: unknown = await assemble(recipe, { ingest, blobs }).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "DIGEST_MISMATCH", detail: { expected: blob.digest } });
    expect(String(error)).toContain(blob.digest);
    expect(ingest).toMatchObject({ discarded: true, failure: error });
  });

  it.each([1000, BUFFER, BUFFER + 1, 5 * BUFFER])(
    "lets no byte of a bad piece of %d bytes into the front",
    async (size) => {
      const blobs = new MemoryBlobs();
      const bytes = noise(3 * size);
      const recipe = ranged(blobs, bytes, size, true);
      blobs.add(Uint8Array.from(bytes).fill(7, 2 * size - 1, 2 * size), digestOf(bytes, "sha512"));
      await using ingest = await open(recipe);
      const failing = assemble(recipe, { ingest, blobs, memoryBytes: SMALL });
      await expect(failing).rejects.toMatchObject({
        code: "DIGEST_MISMATCH",
        detail: { segment: { kind: "remote", start: size }, position: size },
      });
      const done = new RangeSet(ingest.done);
      expect(done.overlaps(size, 2 * size)).toBe(false);
      expect(new RangeSet(ingest.journal).overlaps(size, 2 * size)).toBe(false);
      expect(ingest.discarded).toBe(false);
    },
  );

  it("gets a piece whole when what an earlier try left of it is bad", async () => {
    const blobs = new MemoryBlobs();
    const bytes = noise(400_000);
    const recipe = ranged(blobs, bytes, 200_000, true);
    await using first = await open(recipe);
    await first.write(250_000, new Uint8Array(50_000).fill(1));
    await first.write(0, bytes.subarray(0, 100_000));
    await using ingest = await open(recipe, { path: first.path, resumed: first.done });
    const report = await assemble(recipe, { ingest, blobs, memoryBytes: SMALL });
    expect(Buffer.compare(await readFile(ingest.path), bytes)).toBe(0);
    expect(report.resumedBytes).toBe(100_000);
    expect(report.bytes.network).toBe(100_000 + 150_000 + 200_000);
  });

  it.each([
    ["too short", -1],
    ["too long", 1],
  ])("refuses a source that is %s", async (_, difference) => {
    const blobs = new MemoryBlobs();
    const blob = blobs.add(noise(1000 + difference), digestOf(noise(1000)));
    const whole = { ...blob, size: 1000 };
    const segments = [{ kind: "remote" as const, blob: whole, start: 0, length: 1000 }];
    const recipe = { target: { digest: blob.digest, size: 1000 }, segments };
    await using ingest = await open(recipe);
    await expect(assemble(recipe, { ingest, blobs })).rejects.toMatchObject({ code: "SIZE_MISMATCH" });
  });

  it.each<[string, readonly Segment[], string]>([
    ["too little", [{ kind: "zero", length: 9 }], "SIZE_MISMATCH"],
    ["too much", [{ kind: "zero", length: 11 }], "SIZE_MISMATCH"],
    ["a negative length", [{ kind: "zero", length: -1 }], "RECIPE_INVALID"],
    ["a length that is no number", [{ kind: "zero", length: NaN }], "RECIPE_INVALID"],
    ["a negative start", [{ kind: "local", path: "/dev/null", start: -1, length: 10 }], "RECIPE_INVALID"],
    ["bytes that are not here", [{ kind: "held", length: 10 }], "RECIPE_INVALID"],
  ])("refuses a recipe of %s", async (_, segments, code) => {
    const recipe = { target: { digest: digestOf(new Uint8Array(10)), size: 10 }, segments };
    await using ingest = await open(recipe);
    await expect(assemble(recipe, { ingest, blobs: new MemoryBlobs() })).rejects.toMatchObject({ code });
  });

  it("refuses a range that lies outside of its blob", async () => {
    const blobs = new MemoryBlobs();
    const blob = blobs.add(noise(10));
    const segments = [{ kind: "remote" as const, blob, start: 1, length: 10 }];
    const recipe = { target: { digest: blob.digest, size: 10 }, segments };
    await using ingest = await open(recipe);
    await expect(assemble(recipe, { ingest, blobs })).rejects.toMatchObject({ code: "RECIPE_INVALID" });
  });
});
