/** Streams of linked blocks that are taken up in their midst: the right bytes, no byte twice, and whatever is wrong is found. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mixedContent } from "../../test/codec/apple-lz4/content.ts";
import { appleLz4 } from "../../test/kit/disk/tart-image.ts";
import { FileIngest, type FileIngestOptions } from "../../test/kit/recipe/file-ingest.ts";
import { MemoryBlobs, type MemoryBlobsOptions } from "../../test/kit/recipe/memory-blobs.ts";
import { bordersOf, MemoryCheckpoints } from "../../test/kit/recipe/memory-checkpoints.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import type { BlockBorder } from "../codec/apple-lz4/decoder.ts";
import { digestOf } from "../oci/digest.ts";
import { planContent } from "../plan/disk-content.ts";
import { assemble } from "./assembler.ts";
import { BORDER_BYTES } from "./linked-blocks.ts";
import type { FramesSegment, Recipe } from "./segment.ts";

const MIB = 1 << 20;
const codec = "apple-lz4";

let dir: TempDir;
beforeAll(async () => void (dir = await tempDir()));
afterAll(() => dir[Symbol.asyncDispose]());

let files = 0;
const open = (target: Recipe["target"], options: Partial<FileIngestOptions> = {}): Promise<FileIngest> =>
  FileIngest.open({ path: join(dir.path, `ingest-${files++}`), ...target, ...options });

interface Scene {
  readonly content: Buffer;
  readonly stream: Buffer;
  readonly blobs: MemoryBlobs;
  readonly chunk: Parameters<typeof planContent>[0];
}

function scene(content: Buffer, options: MemoryBlobsOptions = {}, stream = appleLz4(content)): Scene {
  const blobs = new MemoryBlobs(options);
  const blob = blobs.add(stream);
  const chunk = { blob, coding: "apple-lz4", offset: 0, size: content.length, digest: digestOf(content) } as const;
  return { content, stream, blobs, chunk };
}

/** An ingest of which an earlier try has left the first bytes. */
async function leftBy({ content, chunk }: Scene, front: number, borders: readonly BlockBorder[]) {
  const resumed = [{ start: 0, end: front }];
  const path = join(dir.path, `ingest-${files++}`);
  {
    await using before = await open(chunk, { path });
    await before.write(0, content.subarray(0, front));
  }
  return Object.assign(await open(chunk, { path, resumed }), { checkpoints: new MemoryCheckpoints(borders) });
}

// More than 64 KiB of it, so that blocks refer to what is before a border, and not to all that was before.
const small = mixedContent(400_000, 11);
const large = Buffer.concat([...Array(30).keys()].map((n) => (n % 3 === 1 ? Buffer.alloc(MIB) : mixedContent(MIB, n))));

describe("borders", () => {
  it("are noted every 8 MiB, as they lie in blob and target, also where decoding begins at one", async () => {
    const it = scene(large);
    const all = bordersOf(it.stream);
    const checkpoints = new MemoryCheckpoints();
    await using ingest = Object.assign(await open(it.chunk), { checkpoints });
    await assemble(planContent(it.chunk).recipe, { ingest, blobs: it.blobs });
    for (const border of checkpoints.noted) expect(all).toContainEqual(border);
    const places = checkpoints.noted.map(({ decoded }) => decoded);
    expect(places).toHaveLength(Math.floor(large.length / BORDER_BYTES));
    for (const [index, place] of places.entries()) {
      expect(place - (places[index - 1] ?? 0)).toBeGreaterThanOrEqual(BORDER_BYTES);
      expect(place - (places[index - 1] ?? 0)).toBeLessThan(BORDER_BYTES + 4 * MIB);
    }

    const start = all.find(({ decoded }) => decoded > 3 * MIB)!;
    await using again = await leftBy(it, 5 * MIB, [start]);
    const { recipe } = planContent(it.chunk, { held: again.resumed, checkpoints: { before: () => start } });
    await assemble(recipe, { ingest: again, blobs: it.blobs });
    const [, ...later] = again.checkpoints.noted;
    expect(later.length).toBeGreaterThanOrEqual(2);
    for (const border of later) expect(all).toContainEqual(border);
    expect(later[0]!.decoded).toBeGreaterThanOrEqual(start.decoded + BORDER_BYTES);
    expect((await readFile(again.path)).equals(large)).toBe(true);
  });

  it("are not noted of frames that lie elsewhere in the target, or of other codings", async () => {
    const { blobs, chunk, content, stream } = scene(large);
    const before = Buffer.from("before");
    const bytes = Buffer.concat([before, content]);
    const frames: FramesSegment = {
      kind: "frames",
      blob: chunk.blob,
      start: 0,
      length: stream.length,
      codec,
      size: content.length,
    };
    const target = { digest: digestOf(bytes), size: bytes.length };
    const checkpoints = new MemoryCheckpoints();
    await using ingest = Object.assign(await open(target), { checkpoints });
    await assemble({ target, segments: [{ kind: "data", bytes: before }, frames] }, { ingest, blobs });
    expect(checkpoints.noted).toEqual([]);
  });
});

describe("linked frames", () => {
  it("go on from every border, with what is before it as history", async () => {
    const it = scene(small);
    const borders = bordersOf(it.stream);
    expect(borders.length).toBeGreaterThan(4);
    for (const border of borders) {
      const asked = it.blobs.requests.length;
      await using ingest = await leftBy(it, Math.min(border.decoded + 1000, small.length - 1), [border]);
      const { recipe, cost } = planContent(it.chunk, { held: ingest.resumed, checkpoints: ingest.checkpoints });
      const report = await assemble(recipe, { ingest, blobs: it.blobs });
      expect((await readFile(ingest.path)).equals(small)).toBe(true);
      expect(cost).toMatchObject({ network: it.stream.length - border.encoded, requests: 1 });
      expect(report).toMatchObject({ bytes: { network: cost.network }, fallbacks: [] });
      expect(it.blobs.requests.slice(asked).map(({ range }) => range)).toEqual([
        { start: border.encoded, end: it.stream.length },
      ]);
    }
    // Without what was before, or with other bytes, they come out wrong.
    const [border] = borders.slice(-1) as [BlockBorder];
    for (const linked of [false, true]) {
      await using ingest = await leftBy({ ...it, content: Buffer.alloc(small.length, 1) }, border.decoded, []);
      const { recipe } = planContent(it.chunk, { held: ingest.resumed, checkpoints: { before: () => border } });
      const [held, frames] = recipe.segments as [never, FramesSegment];
      const segments = [held, { ...frames, linked }];
      await expect(assemble({ ...recipe, segments }, { ingest, blobs: it.blobs })).rejects.toMatchObject({
        code: linked ? "DIGEST_MISMATCH" : "COMPRESSION_INVALID",
      });
    }
  });

  it("wait for what is before them, however slowly it comes", async () => {
    const requests: number[] = [];
    const it = scene(small, {
      onChunk: async ({ index, range }, offset) => {
        requests.push(range?.start ?? 0);
        // The others get many turns.
        if (index === 0) for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
        expect(offset).toBeLessThan(small.length);
      },
      chunk: () => 7000,
    });
    const places = bordersOf(it.stream).slice(1, 4);
    const ends = [...places, { encoded: it.stream.length, decoded: small.length }];
    const segments = ends.map(({ encoded, decoded }, index): FramesSegment => {
      const from = places[index - 1] ?? { encoded: 0, decoded: 0 };
      const length = encoded - from.encoded;
      const size = decoded - from.decoded;
      return { kind: "frames", blob: it.chunk.blob, start: from.encoded, length, codec, size, linked: index > 0 };
    });
    await using ingest = await open(it.chunk);
    await assemble({ target: it.chunk, segments }, { ingest, blobs: it.blobs, concurrency: 4 });
    expect((await readFile(ingest.path)).equals(small)).toBe(true);
    expect(requests).toEqual(requests.toSorted((a, b) => a - b));
  });

  it("are cut from a stream where the registry serves no ranges", async () => {
    const it = scene(small, { ranges: false });
    const [, border] = bordersOf(it.stream);
    await using ingest = await leftBy(it, border!.decoded, [border!]);
    const { recipe } = planContent(it.chunk, { held: ingest.resumed, checkpoints: ingest.checkpoints });
    const report = await assemble(recipe, { ingest, blobs: it.blobs });
    expect((await readFile(ingest.path)).equals(small)).toBe(true);
    expect(report).toMatchObject({ bytes: { network: it.stream.length }, fallbacks: [{ from: "ranges" }] });
  });

  it("drop what is here when the border is wrong, and the whole comes right then", async () => {
    const it = scene(small);
    const [, border, other] = bordersOf(it.stream) as [BlockBorder, BlockBorder, BlockBorder];
    const wrong: BlockBorder[] = [
      { encoded: border.encoded + 1, decoded: border.decoded },
      { encoded: border.encoded, decoded: border.decoded + 1 },
      { encoded: other.encoded, decoded: border.decoded },
      { encoded: border.encoded, decoded: other.decoded },
    ];
    for (const lie of wrong) {
      await using ingest = await leftBy(it, small.length - 5, [lie]);
      const { recipe } = planContent(it.chunk, { held: ingest.resumed, checkpoints: ingest.checkpoints });
      await expect(assemble(recipe, { ingest, blobs: it.blobs })).rejects.toMatchObject({
        code: expect.stringMatching(/^(COMPRESSION_INVALID|SIZE_MISMATCH|DIGEST_MISMATCH)$/) as string,
        detail: { whole: true },
      });
      expect(ingest.discarded).toBe(true);
    }
    // Borders that cannot be: the whole comes at once.
    for (const lie of [
      { encoded: it.stream.length, decoded: 9 },
      { encoded: 9, decoded: small.length },
      { encoded: -1, decoded: 9 },
      { encoded: 0.5, decoded: 9 },
    ]) {
      const { cost } = planContent(it.chunk, {
        held: [{ start: 0, end: small.length - 1 }],
        checkpoints: { before: () => lie },
      });
      expect(cost.network).toBe(it.stream.length);
    }
  });

  it("are refused where they can refer to nothing", async () => {
    const { blobs, chunk, stream } = scene(small);
    const frames: FramesSegment = {
      kind: "frames",
      blob: chunk.blob,
      start: 0,
      length: stream.length,
      codec,
      size: small.length,
    };
    for (const bad of [
      { codec: "gzip", linked: true },
      { skip: 1, size: small.length, linked: true },
    ] as const) {
      await using ingest = await open(chunk);
      const assembling = assemble({ target: chunk, segments: [{ ...frames, ...bad }] }, { ingest, blobs });
      await expect(assembling).rejects.toMatchObject({ code: "RECIPE_INVALID" });
    }
  });
});
