import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { openStore } from "../store/store.ts";
import { followFront } from "./follow-front.ts";

let dir: TempDir;
beforeAll(async () => void (dir = await tempDir()));
afterAll(() => dir[Symbol.asyncDispose]());

let files = 0;
const open = (bytes: Uint8Array): Promise<FileIngest> =>
  FileIngest.open({ path: join(dir.path, `ingest-${files++}`), digest: digestOf(bytes), size: bytes.length });

describe("followFront", () => {
  it("gives all bytes in order, in whatever order they are written", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat({ max: 9 }), { minLength: 10, maxLength: 10 }),
        fc.integer({ min: 100, max: 5000 }),
        async (order, chunkSize) => {
          const bytes = noise(10_000);
          await using ingest = await open(bytes);
          const reading = Array.fromAsync(followFront(ingest, { chunkSize }));
          for (const index of order)
            await ingest.write(index * 1000, bytes.subarray(index * 1000, index * 1000 + 1000));
          const chunks = await reading;
          expect(Buffer.compare(Buffer.concat(chunks), bytes)).toBe(0);
          expect(Math.max(...chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(chunkSize);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("ends at once when there is nothing to read", async () => {
    await using ingest = await open(noise(0));
    expect(await Array.fromAsync(followFront(ingest))).toEqual([]);
  });

  it("fails as the ingest fails", async () => {
    await using ingest = await open(noise(100));
    await ingest.write(0, noise(100).subarray(0, 50));
    const reading = Array.fromAsync(followFront(ingest));
    ingest.fail(new Error("the line is dead"));
    await expect(reading).rejects.toThrow("the line is dead");
  });

  it("does not end well when all bytes are here, but are the wrong ones", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path, { sync: false });
    const ingest = await store.content.ingest({ digest: digestOf("other bytes"), size: 100 });
    if (!("write" in ingest)) throw new Error("it is there already");
    await ingest.write(0, noise(100));
    const reader = followFront(ingest, { chunkSize: 10 });
    expect((await reader.next()).value).toHaveLength(10);
    ingest.fail(new Error("not what the digest says"));
    await expect(Array.fromAsync(reader)).rejects.toThrow("not what the digest says");
    await ingest[Symbol.asyncDispose]();
  });

  it("fails when the ingest is closed too early", async () => {
    const ingest = await open(noise(100));
    const [reading] = await Promise.allSettled([
      Array.fromAsync(followFront(ingest)),
      Promise.resolve().then(() => ingest[Symbol.asyncDispose]()),
    ]);
    expect(reading).toMatchObject({ status: "rejected", reason: { code: "INTERRUPTED" } });
  });

  it("stops at its signal", async () => {
    await using ingest = await open(noise(100));
    const stop = new AbortController();
    const reading = Array.fromAsync(followFront(ingest, { signal: stop.signal }));
    stop.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
  });

  it("may be left early", async () => {
    const bytes = noise(100);
    await using ingest = await open(bytes);
    await ingest.write(0, bytes.subarray(0, 50));
    for await (const chunk of followFront(ingest, { chunkSize: 10 })) {
      expect(chunk).toHaveLength(10);
      break;
    }
    ingest.fail(new Error("nobody listens"));
  });
});
