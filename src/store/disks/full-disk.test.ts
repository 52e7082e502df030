/** Disks on a file system that is full: the error says so, and what was done is there when there is room again. */
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mountTmpfs } from "../../../test/e2e/tmpfs.ts";
import { openPartialDisk } from "../../../test/kit/store/open-window.ts";
import { sample } from "../../../test/kit/store/sample.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf } from "../../oci/digest.ts";
import { openStore } from "../store.ts";

const MIB = 1024 * 1024;
const KEY = digestOf("a disk");
const contentAt = (number: number) => ({ ...sample(2 * MIB, number + 1), offset: number * 2 * MIB });

/** Takes all that is left, in pieces of a block. */
function fill(path: string): void {
  const file = openSync(path, "w");
  try {
    for (;;) writeSync(file, Buffer.alloc(4096, 1));
  } catch {
    closeSync(file);
  }
}

describe.skipIf(process.getuid?.() !== 0)(
  "a disk where there is no room (needs root, to mount a tiny file system)",
  () => {
    it("keeps what was done, and is finished when there is", async (context) => {
      await using dir = await tempDir();
      using mounted = mountTmpfs(join(dir.path, "mount"), "8m");
      if (mounted === undefined) return context.skip("this machine lets nobody mount");
      const root = join(dir.path, "mount/store");
      const ballast = join(dir.path, "mount/ballast");
      const contents = [contentAt(0), contentAt(1), contentAt(3)] as const;
      const [first, second, third] = contents;
      {
        await using store = await openStore(root);
        await store.images.list();
        await using disk = await openPartialDisk(store, KEY, 100 * MIB);
        for (const content of [first]) {
          await using window = await disk.window(content);
          await window.write(0, content.bytes);
          await window.commit(content);
        }
        await using window = await disk.window(second);
        await window.write(0, second.bytes.subarray(0, MIB));
        await window.checkpoint();
        fill(ballast);
        const failed = window.write(MIB, second.bytes.subarray(MIB));
        await expect(failed).rejects.toMatchObject({ code: "NO_SPACE" });
        await expect(disk.copy({ path: disk.path, offset: 0 }, { ...first, offset: 90 * MIB })).rejects.toMatchObject({
          code: "NO_SPACE",
        });
      }
      rmSync(ballast);
      mounted.grow("20m");
      await using store = await openStore(root);
      await using disk = await openPartialDisk(store, KEY, 100 * MIB);
      expect(contents.map((content) => disk.isDone(content))).toEqual([true, false, false]);
      for (const content of [second, third]) {
        await using window = await disk.window(content);
        if (content === second) expect(window.front).toBeGreaterThanOrEqual(MIB);
        await window.write(window.front, content.bytes.subarray(window.front));
        await window.commit(content);
      }
      const info = await disk.commit(contents);
      const bytes = await readFile(info.path);
      for (const content of contents) {
        expect(bytes.subarray(content.offset, content.offset + content.size).equals(content.bytes)).toBe(true);
      }
      // What the failed copy left is a hole again.
      expect(info.allocatedBytes).toBe(6 * MIB);
    });
  },
);
