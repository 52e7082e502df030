/** Chunks that are made in their places in a store's disk, by processes that are cut off, or killed. */
import { open } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { DISK_BYTES, type ChunkJob } from "../../test/kit/disk/chunk-child.ts";
import { longChunk, type LongChunk } from "../../test/kit/disk/long-chunk.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { openPartialDisk } from "../../test/kit/store/open-window.ts";
import { startProgram } from "../../test/kit/store/store-process.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { VarveError } from "../errors/varve-error.ts";
import { assemble, type AssemblyReport } from "../recipe/assembler.ts";
import { openStore, type Store } from "../store/store.ts";
import { planContent } from "./disk-content.ts";

const CHILD = new URL("../../test/kit/disk/chunk-child.ts", import.meta.url).pathname;
const MIB = 1 << 20;

interface Try {
  readonly planned: number;
  /** Of what was asked for, first of all. */
  readonly start: number;
  readonly report: AssemblyReport | undefined;
}

/** @param cut place in the blob where the network breaks */
async function attempt(store: Store, long: LongChunk, cut = Infinity): Promise<Try> {
  const { chunk, content, stream } = long;
  const blobs = new MemoryBlobs({
    onChunk: (_, at) => {
      if (at >= cut) throw new VarveError("REGISTRY_UNAVAILABLE", "the network broke");
    },
  });
  blobs.add(stream);
  await using disk = await openPartialDisk(store, chunk.digest, DISK_BYTES);
  await using window = await disk.window(chunk, { blob: chunk.blob.digest, check: "later" });
  const plan = planContent(chunk, { held: window.resumed, checkpoints: window.checkpoints });
  let report: AssemblyReport | undefined;
  try {
    report = await assemble(plan.recipe, { ingest: window, blobs });
    await window.commit(report);
    await using file = await open(disk.path);
    const bytes = Buffer.alloc(content.length);
    await file.read(bytes, 0, bytes.length, chunk.offset);
    expect(bytes.equals(content)).toBe(true);
  } catch (error) {
    expect(error).toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
  }
  return { planned: plan.cost.network, start: blobs.requests[0]?.range?.start ?? 0, report };
}

describe("a chunk in its place in a disk", () => {
  it("goes on at the last border that came, again and again", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path, { sync: false });
    // In no block of its own.
    const long = longChunk(40, 12_345);
    const { length } = long.stream;
    const starts: number[] = [];
    for (const cut of [0, 0.1, 0.45, 0.46, 0.9]) {
      const { start, planned, report } = await attempt(store, long, cut * length);
      expect(report).toBeUndefined();
      expect(planned).toBe(length - start);
      starts.push(start);
    }
    const { start, planned, report } = await attempt(store, long);
    expect(report?.bytes.network).toBe(planned);
    expect(planned).toBe(length - start);
    // No border at first, the same one where none lay between two tries, and at last one in the last quarter.
    expect([...starts, start]).toEqual([...starts, start].toSorted((a, b) => a - b));
    expect([starts.slice(0, 3), starts[3] === starts[4]]).toEqual([[0, 0, 0], true]);
    expect(starts[4]).toBeGreaterThan(length / 5);
    expect(start).toBeGreaterThan(length * 0.6);
  });

  it("goes on where a process was that was killed", async () => {
    await using dir = await tempDir();
    const long = longChunk(30, 4096);
    const job: ChunkJob = { root: dir.path, mebibytes: 30, offset: 4096, cut: long.stream.length * 0.8 };
    {
      await using child = startProgram(CHILD, job);
      await child.said("stalled");
      await child.kill();
    }
    await using store = await openStore(dir.path, { sync: false });
    const { start, planned, report } = await attempt(store, long);
    expect(start).toBeGreaterThan(long.stream.length / 4);
    expect(report).toMatchObject({ bytes: { network: long.stream.length - start }, fallbacks: [] });
    expect(planned).toBe(long.stream.length - start);
    expect(report?.resumedBytes).toBeGreaterThan(16 * MIB);
  });
});
