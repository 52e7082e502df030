/** Contents that are got in several tries: wherever the network breaks, no try asks for a byte before the border that the last one reached. */
import { open, readFile } from "node:fs/promises";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mixedContent } from "../../test/codec/apple-lz4/content.ts";
import { lz4Frame } from "../../test/codec/apple-lz4/frames.ts";
import { appleLz4 } from "../../test/kit/disk/tart-image.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { bordersOf, MemoryCheckpoints } from "../../test/kit/recipe/memory-checkpoints.ts";
import { openIngest } from "../../test/kit/store/open-ingest.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import type { BlockBorder } from "../codec/apple-lz4/decoder.ts";
import type { DiskChunk } from "../codec/tart/disk-image.ts";
import { VarveError } from "../errors/varve-error.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import { assemble, type AssemblyReport } from "../recipe/assembler.ts";
import { RangeSet } from "../store/range-set.ts";
import { openStore, type Store } from "../store/store.ts";
import type { Ingest } from "../store/types.ts";
import { planContent } from "./disk-content.ts";
import { costOf } from "./plan.ts";

type Chunk = DiskChunk & { readonly digest: Digest };

let dir: TempDir;
let store: Store;
beforeAll(async () => {
  dir = await tempDir();
  store = await openStore(dir.path, { sync: false });
});
afterAll(async () => {
  await store.close();
  await dir[Symbol.asyncDispose]();
});

class Scene {
  readonly content: Buffer;
  readonly chunk: Chunk;
  readonly blobs: MemoryBlobs;
  readonly checkpoints: MemoryCheckpoints;
  /** Place in the blob where the next request breaks. */
  cut = Infinity;
  chunkBytes = 64 << 10;

  constructor(content: Buffer, blob: Buffer, coding: DiskChunk["coding"] = "apple-lz4", borders: BlockBorder[] = []) {
    this.content = content;
    this.blobs = new MemoryBlobs({
      chunk: () => this.chunkBytes,
      onChunk: (_, offset) => {
        if (offset >= this.cut) throw new VarveError("REGISTRY_UNAVAILABLE", "the network broke");
      },
    });
    const descriptor = this.blobs.add(blob);
    this.chunk = { blob: descriptor, coding, offset: 0, size: content.length, digest: digestOf(content) };
    this.checkpoints = new MemoryCheckpoints(borders);
  }

  async open(): Promise<Ingest & { readonly checkpoints: MemoryCheckpoints }> {
    const ingest = await openIngest(store, this.chunk, { check: "later" });
    return Object.assign(ingest, { checkpoints: this.checkpoints });
  }
}

/** One try, in an ingest of its own; undefined when the network broke. */
async function attempt(it: Scene, cut = Infinity): Promise<(AssemblyReport & { planned: number }) | undefined> {
  it.cut = cut;
  const { chunk, checkpoints, blobs } = it;
  const asked = blobs.requests.length;
  await using ingest = await it.open();
  const front = frontOf(ingest);
  const { recipe, cost } = planContent(chunk, { held: ingest.resumed, checkpoints });
  const from = chunk.coding === "apple-lz4" ? (checkpoints.before(front)?.encoded ?? 0) : 0;
  expect(cost.network).toBe(front === chunk.size ? 0 : chunk.blob.size - from);
  try {
    const report = await assemble(recipe, { ingest, blobs, memoryBytes: 4 * 3 * (64 << 10) });
    expect((await readFile(ingest.path)).equals(it.content)).toBe(true);
    await ingest.commit(report);
    await store.content.remove(chunk.digest);
    return { ...report, planned: cost.network };
  } catch (error) {
    expect(error).toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
    return undefined;
  } finally {
    const starts = blobs.requests.slice(asked).map(({ range }) => range?.start ?? 0);
    if (starts.length > 0) expect(starts).toContain(from);
  }
}

const frontOf = ({ resumed }: Ingest): number => new RangeSet(resumed).contiguousEnd();

/** What disks are made of: files, and much that was never written. */
const diskContent = (bytes: number, seed: number): Buffer => {
  const content = mixedContent(bytes, seed);
  const random = noise(bytes, String(seed));
  for (let at = seed % 50_000; at < bytes; at += 60_000) {
    content.set(random.subarray(at, at + 20_000), at);
    content.fill(0, Math.min(bytes, at + 40_000), Math.min(bytes, at + 40_000 + (seed % 20_000)));
  }
  return content;
};

describe("a content that comes in several tries", () => {
  it("comes right, and costs what was planned, wherever the network breaks", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 400_000 }),
        fc.nat({ max: 1 << 30 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
        fc.array(fc.constantFrom(1, 97, 4096, 65_536), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 4 }),
        async (bytes, seed, cuts, chunks, every) => {
          const content = diskContent(bytes, seed);
          const stream = appleLz4(content);
          // A partial disk keeps some of them.
          const borders = bordersOf(stream).filter((_, index) => index % every === 0);
          const it = new Scene(content, stream, "apple-lz4", borders);
          for (const [index, cut] of cuts.toSorted((a, b) => a - b).entries()) {
            it.chunkBytes = Math.max(chunks[index % chunks.length]!, stream.length >> 8);
            if ((await attempt(it, cut * stream.length)) !== undefined) return;
          }
          const report = await attempt(it);
          expect(report).toMatchObject({ fallbacks: [], requests: 1, bytes: { network: report?.planned, local: 0 } });
        },
      ),
      { numRuns: 40 },
    );
  });

  it("comes right when the network breaks anywhere about a border, and at the stream's ends", async () => {
    const content = diskContent(200_000, 6);
    const stream = appleLz4(content);
    const borders = bordersOf(stream);
    const places = [0, ...borders.map(({ encoded }) => encoded), stream.length - 4];
    const cuts = places.flatMap((place) => [-1, 0, 1, 4, 8, 12].map((more) => place + more));
    for (const cut of new Set(cuts.filter((at) => at >= 0 && at < stream.length))) {
      const it = new Scene(content, stream, "apple-lz4", borders);
      // All that comes before the cut comes at once.
      it.chunkBytes = Math.max(1, cut);
      expect(await attempt(it, cut)).toBeUndefined();
      const reached = borders.findLast(({ encoded }) => encoded <= cut)?.decoded ?? 0;
      {
        await using ingest = await it.open();
        expect(frontOf(ingest)).toBeGreaterThanOrEqual(reached);
      }
      const report = await attempt(it);
      expect(report?.bytes.network).toBe(report?.planned);
    }
  });

  it("keeps all whole blocks that came before the network broke", async () => {
    const content = diskContent(700_000, 5);
    const stream = appleLz4(content);
    const borders = bordersOf(stream);
    const it = new Scene(content, stream, "apple-lz4", borders);
    it.chunkBytes = 1000;
    for (const border of borders) {
      expect(await attempt(it, border.encoded + 1000)).toBeUndefined();
      await using ingest = await it.open();
      expect(frontOf(ingest)).toBeGreaterThanOrEqual(border.decoded);
    }
    expect((await attempt(it))?.resumedBytes).toBeGreaterThanOrEqual(borders.at(-1)!.decoded);
    expect(it.blobs.served).toBeLessThan(stream.length + borders.length * 2000 + 70_000 * borders.length);
  });

  it("is made from its start where what was left is damaged, once more only as far as that", async () => {
    const content = diskContent(9_000_000, 3);
    const stream = appleLz4(content);
    // The journal sums what was left in pieces of 4 MiB.
    const border = bordersOf(stream).findLast(({ decoded }) => decoded <= 8 << 20)!;
    for (const [name, damaged] of Object.entries({
      start: 100,
      history: border.decoded - 10,
      behind: (8 << 20) + 10,
    })) {
      const it = new Scene(content, stream, "apple-lz4", [border]);
      await using before = await it.open();
      await before.write(0, content.subarray(0, 4_000_000));
      await before.write(4_000_000, content.subarray(4_000_000, 8_700_000));
      const { path } = before;
      await before[Symbol.asyncDispose]();
      {
        await using file = await open(path, "r+");
        await file.write(Buffer.from([content[damaged]! ^ 1]), 0, 1, damaged);
      }
      const report = await attempt(it);
      const ranges = it.blobs.requests.map(({ range }) => range);
      const [rest, all] = [
        { start: border.encoded, end: stream.length },
        { start: 0, end: border.encoded },
      ];
      if (name === "history") expect(ranges).toEqual([all, rest]);
      else expect(ranges).toEqual(name === "start" ? [rest, all] : [rest]);
      expect(report?.bytes.network).toBe(name === "behind" ? report?.planned : stream.length);
    }
  });

  it("is got whole in other codings, but as far as it is here when it is not compressed", async () => {
    const content = diskContent(500_000, 8);
    const stream = appleLz4(content);
    const coded = new Scene(content, lz4Frame(stream), "lz4-frames", bordersOf(stream));
    expect(await attempt(coded, 150_000)).toBeUndefined();
    expect((await attempt(coded))?.bytes.network).toBe(coded.chunk.blob.size);

    const stored = new Scene(content, content, "stored");
    stored.chunkBytes = 4096;
    {
      await using ingest = await stored.open();
      await ingest.write(0, content.subarray(0, 123_456));
    }
    await using ingest = await stored.open();
    const plan = planContent(stored.chunk, { held: ingest.resumed });
    expect(plan.cost).toMatchObject({ network: content.length - 123_456, requests: 1 });
    expect(await assemble(plan.recipe, { ingest, blobs: stored.blobs })).toMatchObject({
      bytes: { network: plan.cost.network },
      resumedBytes: 123_456,
    });
  });
});

describe("planContent", () => {
  const content = diskContent(300_000, 2);
  const stream = appleLz4(content);
  const { chunk, checkpoints } = new Scene(content, stream, "apple-lz4", bordersOf(stream));

  it("takes what is here before anything else, and verifies it as one", () => {
    const place = { path: "/somewhere", start: 7 };
    const plan = planContent(chunk, { place, held: [{ start: 0, end: 200_000 }], checkpoints, blobHeld: true });
    expect(plan.recipe.segments).toEqual([{ kind: "local", ...place, length: content.length, digest: chunk.digest }]);
    expect(plan.cost).toEqual({ network: 0, local: content.length, data: 0, zero: 0, requests: 0 });
  });

  it("counts nothing for the network where the blob is here", () => {
    for (const coding of ["apple-lz4", "gzip", "stored"] as const) {
      const plan = planContent({ ...chunk, coding }, { blobHeld: true });
      expect(plan.cost).toEqual({ network: 0, local: content.length, data: 0, zero: 0, requests: 0 });
      expect(plan.recipe.segments).toMatchObject([{ blob: chunk.blob, start: 0 }]);
    }
  });

  it("goes back to the last border that what is here reaches from its start on", () => {
    const [first, second] = checkpoints.noted as [BlockBorder, BlockBorder];
    const from = (held: readonly { start: number; end: number }[]): number => {
      const { recipe, cost } = planContent(chunk, { held, checkpoints });
      expect(cost).toEqual(costOf(recipe.segments as never));
      return stream.length - cost.network;
    };
    expect(from([{ start: 0, end: first.decoded - 1 }])).toBe(0);
    expect(from([{ start: 0, end: first.decoded }])).toBe(first.encoded);
    expect(from([{ start: 0, end: second.decoded - 1 }])).toBe(first.encoded);
    expect(from([{ start: 1, end: content.length }])).toBe(0);
    expect(
      from([
        { start: 0, end: first.decoded },
        { start: second.decoded, end: content.length },
      ]),
    ).toBe(first.encoded);
  });
});
