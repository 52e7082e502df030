/** A piece that is all of the target is hashed once, and what is wrong with it is found as ever. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { assemble } from "./assembler.ts";
import type { LocalSegment, Recipe, Segment } from "./segment.ts";

const SMALL = 4 * 3 * (64 << 10);

let dir: TempDir;
beforeAll(async () => void (dir = await tempDir()));
afterAll(() => dir[Symbol.asyncDispose]());

let files = 0;
const open = (target: Recipe["target"]): Promise<FileIngest> =>
  FileIngest.open({ path: join(dir.path, `ingest-${files++}`), ...target });

async function scene(length: number) {
  const bytes = noise(length, `of ${length}`);
  const path = join(dir.path, `local-${files++}`);
  await writeFile(path, Buffer.concat([noise(9), bytes]));
  const target = { digest: digestOf(bytes), size: length };
  const segment: LocalSegment = { kind: "local", path, start: 9, length, digest: target.digest };
  return { bytes, path, target, segment };
}

describe("a piece that is the target", () => {
  it.each([10, 64 << 10, (64 << 10) + 1, 1_000_000])(
    "of %i bytes is not read back to be hashed again",
    async (length) => {
      const { bytes, target, segment } = await scene(length);
      await using ingest = await open(target);
      const report = await assemble(
        { target, segments: [segment] },
        { ingest, blobs: new MemoryBlobs(), memoryBytes: SMALL },
      );
      expect(report).toMatchObject({ ...target, readBackBytes: 0, bytes: { local: length } });
      expect((await readFile(ingest.path)).equals(bytes)).toBe(true);
    },
  );

  it("gives way to another plan where the file has changed", async () => {
    for (const length of [1000, 1_000_000]) {
      const { bytes, path, target, segment } = await scene(length);
      await writeFile(path, noise(length + 9, "changed"));
      const blobs = new MemoryBlobs();
      const blob = blobs.add(bytes);
      const other: Segment = { kind: "remote", blob, start: 0, length };
      await using ingest = await open(target);
      const replan = () => ({ recipe: { target, segments: [other] }, from: "disk" });
      const report = await assemble({ target, segments: [segment] }, { ingest, blobs, memoryBytes: SMALL, replan });
      expect(report).toMatchObject({ ...target, bytes: { network: length }, fallbacks: [{ from: "disk" }] });
      expect((await readFile(ingest.path)).equals(bytes)).toBe(true);
    }
  });

  it("is nothing that only a part of the target is, or something else of its length", async () => {
    const { bytes, target, segment } = await scene(300_000);
    const twice = { digest: digestOf(Buffer.concat([bytes, bytes])), size: 600_000 };
    await using ingest = await open(twice);
    const report = await assemble(
      { target: twice, segments: [segment, segment] },
      { ingest, blobs: new MemoryBlobs() },
    );
    expect(report).toMatchObject(twice);
    const another = { ...target, digest: digestOf("another") };
    await using wrong = await open(another);
    const assembling = assemble({ target: another, segments: [segment] }, { ingest: wrong, blobs: new MemoryBlobs() });
    await expect(assembling).rejects.toMatchObject({ code: "DIGEST_MISMATCH", detail: { whole: true } });
  });
});
