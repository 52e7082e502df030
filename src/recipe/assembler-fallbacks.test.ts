/** What happens when a source does not hold what the plan promised. */
import { execFileSync } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import type { VarveError } from "../errors/varve-error.ts";
import { digestOf } from "../oci/digest.ts";
import { assemble, type AssembleOptions } from "./assembler.ts";
import { followFront } from "./follow-front.ts";
import type { ProgressEvent } from "./progress.ts";
import type { Recipe, Segment } from "./segment.ts";

const SMALL = 4 * 3 * (64 << 10);

let dir: TempDir;
beforeAll(async () => void (dir = await tempDir()));
afterAll(() => dir[Symbol.asyncDispose]());

let files = 0;
const open = (recipe: Recipe): Promise<FileIngest> =>
  FileIngest.open({ path: join(dir.path, `ingest-${files++}`), ...recipe.target });

const BYTES = noise(1_000_000);
const target = { digest: digestOf(BYTES), size: BYTES.length };

/** Ten ranges of a blob with a byte between them that nobody wants, so that they are not joined to one request. */
function ranges(blobs: MemoryBlobs, checked = false): Segment[] {
  const starts = Array.from({ length: 10 }, (_, index) => index * 100_000);
  const parts = starts.map((start) => BYTES.subarray(start, start + 100_000));
  const blob = blobs.add(Buffer.concat(parts.flatMap((part) => [part, Buffer.of(0)])));
  return parts.map((part, index) => {
    const segment = { kind: "remote" as const, blob, start: index * 100_001, length: 100_000 };
    return checked ? Object.assign(segment, { digest: digestOf(part) }) : segment;
  });
}

const path = (name: string): string => join(dir.path, name);

/** A tenth as literals, the rest from a file. */
const piece = (name: string, checked = false): Recipe => ({
  target,
  segments: [
    { kind: "data", bytes: BYTES.subarray(0, 100_000) },
    {
      kind: "local",
      path: path(name),
      start: 0,
      length: 900_000,
      ...(checked ? { digest: digestOf(BYTES.subarray(100_000)) } : {}),
    },
  ],
});

describe("a registry without ranges", () => {
  it("serves the rest as one stream, and what is done is not written again", async () => {
    const blobs = new MemoryBlobs({ ranges: false });
    const recipe = { target, segments: ranges(blobs) };
    await using ingest = await open(recipe);
    await ingest.write(300_000, BYTES.subarray(300_000, 500_000));
    const written: number[] = [];
    const events: ProgressEvent[] = [];
    const write = ingest.write.bind(ingest);
    ingest.write = (position, bytes) => {
      written.push(position);
      return write(position, bytes);
    };
    const onProgress = (event: ProgressEvent): void => void events.push(event);
    const report = await assemble(recipe, { ingest, blobs, memoryBytes: SMALL, onProgress });
    expect(Buffer.compare(await readFile(ingest.path), BYTES)).toBe(0);
    expect(written.filter((position) => position >= 300_000 && position < 500_000)).toEqual([]);
    expect(report.fallbacks).toEqual([{ from: "ranges", reason: expect.stringContaining("RANGE_UNSUPPORTED") }]);
    expect(events).toContainEqual(expect.objectContaining({ type: "fallback", from: "ranges" }));
    expect(blobs.requests.filter(({ range }) => range === undefined)).toHaveLength(1);
    expect(report.bytes.network).toBe(blobs.served);
    expect(report.resumedBytes).toBe(200_000);
  });

  it("serves pieces with digests as one stream too", async () => {
    const blobs = new MemoryBlobs({ ranges: false });
    const recipe = { target, segments: ranges(blobs, true) };
    await using ingest = await open(recipe);
    await ingest.write(150_000, BYTES.subarray(150_000, 160_000));
    const report = await assemble(recipe, { ingest, blobs, memoryBytes: SMALL });
    expect(report).toMatchObject({ ...target, resumedBytes: 10_000 });
  });

  it("serves several blobs, one after the other: a body that waits for its reader holds a connection", async () => {
    const blobs = new MemoryBlobs({ ranges: false });
    const segments = Array.from({ length: 5 }, (_, index) => {
      const bytes = BYTES.subarray(index * 200_000, (index + 1) * 200_000);
      const blob = blobs.add(Buffer.concat([Buffer.alloc(1000), bytes, Buffer.alloc(200_000)]));
      return { kind: "remote" as const, blob, start: 1000, length: 200_000 };
    });
    await using ingest = await open({ target, segments });
    await assemble({ target, segments }, { ingest, blobs, concurrency: 1, memoryBytes: SMALL });
    expect(Buffer.compare(await readFile(ingest.path), BYTES)).toBe(0);
    expect(blobs.peakActive).toBe(1);
  });

  it("cannot serve a recipe that takes turns between blobs", async () => {
    const blobs = new MemoryBlobs({ ranges: false });
    const pair = [blobs.add(BYTES), blobs.add(Buffer.concat([BYTES, Buffer.of(1)]))];
    const segments = Array.from({ length: 10 }, (_, index) => {
      return { kind: "remote" as const, blob: pair[index % 2]!, start: index * 100_000, length: 100_000 };
    });
    const recipe = { target, segments };
    await using ingest = await open(recipe);
    await expect(assemble(recipe, { ingest, blobs })).rejects.toMatchObject({ code: "RANGE_UNSUPPORTED" });
  });

  it("cannot serve a recipe that takes the blob out of order: the caller plans anew", async () => {
    const blobs = new MemoryBlobs({ ranges: false });
    const segments = ranges(blobs);
    const bytes = Buffer.concat([BYTES.subarray(500_000), BYTES.subarray(0, 500_000)]);
    const turned = { digest: digestOf(bytes), size: bytes.length };
    const recipe = { target: turned, segments: [...segments.slice(5), ...segments.slice(0, 5)] };
    await using ingest = await open(recipe);
    const failing = assemble(recipe, { ingest, blobs });
    await expect(failing).rejects.toMatchObject({ code: "RANGE_UNSUPPORTED", detail: { segment: { kind: "remote" } } });
    expect(ingest.journal).toEqual(ingest.done);

    await using again = await open(recipe);
    const blob = blobs.add(bytes);
    const plain: Recipe = { target: turned, segments: [{ kind: "remote", blob, start: 0, length: blob.size }] };
    const replan = (): { recipe: Recipe; from: string } => ({ recipe: plain, from: "zstd-chunked" });
    const report = await assemble(recipe, { ingest: again, blobs, replan });
    expect(report.fallbacks.map(({ from }) => from).slice(0, 2)).toEqual(["ranges", "zstd-chunked"]);
    expect(Buffer.compare(await readFile(again.path), bytes)).toBe(0);
  });

  it("cannot be got around for a recipe that can be read only once", async () => {
    const blobs = new MemoryBlobs({ ranges: false });
    const all = ranges(blobs);
    const segments = (function* () {
      yield* all;
    })();
    const recipe = { target, segments };
    await using ingest = await open(recipe);
    await expect(assemble(recipe, { ingest, blobs })).rejects.toMatchObject({ code: "RANGE_UNSUPPORTED" });
  });
});

describe("a local file that is not what the recipe takes it for", () => {
  beforeAll(async () => {
    await writeFile(path("good"), BYTES.subarray(100_000));
    await writeFile(path("bad"), Uint8Array.from(BYTES.subarray(100_000)).fill(1, 800_000));
    await writeFile(path("short"), BYTES.subarray(100_000, 999_999));
    await symlink("good", path("link"));
    await mkdir(path("directory"));
    execFileSync("mkfifo", [path("fifo")]);
  });

  it("is fine when it is", async () => {
    const recipe = piece("good", true);
    await using ingest = await open(recipe);
    expect(await assemble(recipe, { ingest, blobs: new MemoryBlobs() })).toMatchObject(target);
  });

  it.each(["missing", "short", "link", "directory", "fifo", "bad"])("is refused: %s", async (name) => {
    const recipe = piece(name, true);
    await using ingest = await open(recipe);
    const failing = assemble(recipe, { ingest, blobs: new MemoryBlobs(), memoryBytes: SMALL });
    await expect(failing).rejects.toMatchObject({
      code: "SOURCE_CHANGED",
      detail: { segment: { kind: "local", path: path(name) } },
    });
  });

  it.each(["missing", "short", "bad"])("gives way to another plan, and followers notice nothing: %s", async (name) => {
    const blobs = new MemoryBlobs();
    const blob = blobs.add(BYTES);
    const recipe = piece(name, true);
    await using ingest = await open(recipe);
    const following = Array.fromAsync(followFront(ingest, { chunkSize: 10_000 }));
    const whole: Segment[] = [{ kind: "remote", blob, start: 0, length: blob.size }];
    const seen: VarveError[] = [];
    const replan: AssembleOptions["replan"] = (error) => {
      seen.push(error);
      return { recipe: { target, segments: whole }, from: "librsync-delta" };
    };
    const report = await assemble(recipe, { ingest, blobs, memoryBytes: SMALL, replan });
    expect(Buffer.compare(Buffer.concat(await following), BYTES)).toBe(0);
    expect(seen).toMatchObject([{ code: "SOURCE_CHANGED" }]);
    expect(report).toMatchObject({ ...target, fallbacks: [{ from: "librsync-delta" }] });
    expect(report.bytes.data).toBe(100_000);
    expect(report.bytes.network).toBe(900_000);
  });

  it("does not plan for ever", async () => {
    const recipe = piece("missing");
    await using ingest = await open(recipe);
    let plans = 0;
    const replan = (): { recipe: Recipe; from: string } => ({ recipe: piece(`missing-${plans++}`), from: "tar-diff" });
    const failing = assemble(recipe, { ingest, blobs: new MemoryBlobs(), replan });
    await expect(failing).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    expect(plans).toBeLessThan(20);
  });
});
