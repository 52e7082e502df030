import { execFileSync } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import { digestOf } from "../oci/digest.ts";
import { assemble } from "./assembler.ts";
import type { Part } from "./gather.ts";
import { SmallLocals } from "./small-locals.ts";

const BYTES = noise(600_000);

let dir: TempDir;
beforeAll(async () => {
  dir = await tempDir();
  for (const name of ["a", "b", "c"]) await writeFile(join(dir.path, name), BYTES);
  await writeFile(join(dir.path, "short"), BYTES.subarray(0, 50));
  await symlink("a", join(dir.path, "link"));
  await mkdir(join(dir.path, "directory"));
  execFileSync("mkfifo", [join(dir.path, "fifo")]);
});
afterAll(() => dir[Symbol.asyncDispose]());

const local = (name: string, start: number, length: number): Part => {
  return { position: 0, segment: { kind: "local", path: join(dir.path, name), start, length }, held: [] };
};

describe("small local pieces", () => {
  it("are right wherever they lie", () => {
    const places = fc.tuple(
      fc.constantFrom("a", "a", "a", "b", "c"),
      fc.oneof(fc.nat(3000), fc.integer({ min: -3000, max: 100_000 })),
      fc.oneof(fc.nat(5000), fc.nat(64 << 10)),
    );
    fc.assert(
      fc.property(fc.array(places, { maxLength: 200 }), (sketch) => {
        let at = 0;
        const parts = sketch.flatMap(([name, gap, length], index): Part[] => {
          const start = Math.max(0, at + gap) % (BYTES.length - length);
          at = start + length;
          const data: Part = { position: 0, segment: { kind: "data", bytes: new Uint8Array() }, held: [] };
          return index % 3 === 0 ? [data, local(name, start, length)] : [local(name, start, length)];
        });
        using locals = new SmallLocals();
        let read = 0;
        for (const [index, { segment }] of parts.entries()) {
          if (segment.kind !== "local") continue;
          const bytes = locals.whole(parts, index);
          if (bytes === undefined) continue;
          expect(Buffer.compare(bytes, BYTES.subarray(segment.start, segment.start + segment.length))).toBe(0);
          read++;
        }
        expect(read).toBeGreaterThanOrEqual(sketch.length - Math.ceil(sketch.length / 128));
      }),
      { numRuns: 50 },
    );
  });

  it("are left to the other way when they are large, or others have waited long enough", () => {
    using locals = new SmallLocals();
    expect(locals.whole([local("a", 0, 100_000)], 0)).toBeUndefined();
    const parts = Array.from({ length: 500 }, (_, index) => local(index % 2 === 0 ? "a" : "b", 100_000, 10));
    const left = parts.filter((_, index) => locals.whole(parts, index) === undefined);
    expect(left).toHaveLength(3);
  });

  it.each(["missing", "short", "link", "directory", "fifo", "bad"])("are refused with their name: %s", async (name) => {
    const bytes = BYTES.subarray(0, 300);
    const path = join(dir.path, name === "bad" ? "a" : name);
    const start = name === "bad" ? 100 : 0;
    const piece = { kind: "local", path, start, length: 100, digest: digestOf(bytes.subarray(200)) } as const;
    const target = { digest: digestOf(bytes), size: 300 };
    const recipe = { target, segments: [{ kind: "data", bytes: bytes.subarray(0, 200) } as const, piece] };
    await using ingest = await FileIngest.open({ path: join(dir.path, `ingest-${name}`), ...target });
    await expect(assemble(recipe, { ingest, blobs: new MemoryBlobs() })).rejects.toMatchObject({
      code: "SOURCE_CHANGED",
      detail: { segment: piece, position: 200 },
    });
    expect(ingest.done).toEqual([{ start: 0, end: 200 }]);
  });
});
