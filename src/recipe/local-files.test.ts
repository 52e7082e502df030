import { open, symlink, unlink, writeFile } from "node:fs/promises";
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

  it("follows no links but those to files that are open here", async () => {
    await using dir = await tempDir();
    const [path, link] = [join(dir.path, "file"), join(dir.path, "link")];
    await writeFile(path, "here");
    await symlink(path, link);
    await using handle = await open(path);
    await unlink(path);
    await using files = new LocalFiles();
    const read = async (from: string): Promise<string> => {
      const buffer = new Uint8Array(4);
      await files.readInto(buffer, { kind: "local", path: from, start: 0, length: 4 }, 0);
      return Buffer.from(buffer).toString();
    };
    expect(await read(`/proc/self/fd/${handle.fd}`)).toBe("here");
    await writeFile(path, "new!");
    await expect(read(link)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
  });
});
