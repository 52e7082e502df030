import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { LocalFiles } from "./local-files.ts";
import type { LocalSegment } from "./segment.ts";

describe("LocalFiles", () => {
  it("keeps few files open, however many a recipe takes turns between, and closes them all", async () => {
    await using dir = await tempDir();
    const segments = Array.from({ length: 50 }, (_, index): LocalSegment => {
      return { kind: "local", path: join(dir.path, String(index)), start: 0, length: 4 };
    });
    await Promise.all(segments.map(({ path }, index) => writeFile(path, String(1000 + index))));
    const files = new LocalFiles();
    for (let turn = 0; turn < 3; turn++) {
      await Promise.all(
        segments.map(async (segment, index) => {
          const buffer = new Uint8Array(4);
          await files.readInto(buffer, segment, 0);
          expect(Buffer.from(buffer).toString()).toBe(String(1000 + index));
        }),
      );
      expect(files.open).toBeLessThanOrEqual(16);
    }
    await files[Symbol.asyncDispose]();
    expect(files.open).toBe(0);
  });
});
