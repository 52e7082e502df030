/** What an assembly tells while it runs, and what it reports at the end. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { BlobSource } from "../registry/blob-source.ts";
import { assemble, type AssemblyReport } from "./assembler.ts";
import type { ProgressEvent } from "./progress.ts";

const BYTES = noise(3_000_000);

async function run(
  makeSource: (blobs: MemoryBlobs) => BlobSource,
  held = 0,
): Promise<{ report: AssemblyReport; events: ProgressEvent[] }> {
  await using dir = await tempDir();
  const blobs = new MemoryBlobs();
  const blob = blobs.add(BYTES);
  const target = { digest: blob.digest, size: blob.size };
  await using ingest = await FileIngest.open({ path: join(dir.path, "ingest"), ...target });
  await ingest.write(0, BYTES.subarray(0, held));
  const events: ProgressEvent[] = [];
  let now = 0;
  const report = await assemble(
    { target, segments: [{ kind: "remote", blob, start: 0, length: blob.size }] },
    {
      ingest,
      blobs: makeSource(blobs),
      onProgress: (event) => void events.push(event),
      clock: () => (now += 10),
    },
  );
  return { report, events };
}

describe("an assembly", () => {
  it("hashes a stream from memory, in the same pass", async () => {
    const { report } = await run((blobs) => blobs);
    expect(report).toMatchObject({ readBackBytes: 0, requests: 1 });
  });

  it("tells how far it is, beginning with what was here and ending with all of it", async () => {
    const { events, report } = await run((blobs) => blobs, 1_000_000);
    const progress = events.filter((event) => event.type === "progress");
    const done = progress.map((event) => event.done);
    expect(done[0]).toBe(1_000_000);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toMatchObject({
      done: BYTES.length,
      total: BYTES.length,
      etaSeconds: 0,
      network: 2_000_000,
    });
    expect(report.resumedBytes).toBe(1_000_000);
  });

  it("passes on what happens on the way, and counts wasted bytes as received", async () => {
    const { events, report } = await run((blobs) => ({
      async *readBlob(blob, request) {
        const retry = { type: "retry", host: "a", attempt: 1, delayMs: 0, reason: "reset" } as const;
        const failover = { type: "failover", from: "a", to: "b", reason: "reset" } as const;
        request?.onEvent?.({ type: "request", host: "a" });
        request?.onEvent?.({ type: "received", bytes: 123 });
        request?.onEvent?.(retry);
        request?.onEvent?.(failover);
        request?.onEvent?.({ type: "throttle", host: "b", limit: 2, previous: 4 });
        request?.onEvent?.({ type: "range-ignored", host: "b" });
        yield* blobs.readBlob(blob, request);
      },
    }));
    expect(report).toMatchObject({ requests: 2, retries: 1, bytes: { network: BYTES.length + 123 } });
    expect(events).toContainEqual(expect.objectContaining({ type: "retry", host: "a", digest: report.digest }));
    expect(events).toContainEqual(expect.objectContaining({ type: "failover", to: "b", digest: report.digest }));
    expect(events).toContainEqual({ type: "throttle", host: "b", limit: 2, previous: 4 });
  });
});
