import { closeSync, existsSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mountTmpfs } from "../../test/e2e/tmpfs.ts";
import { putImage } from "../../test/kit/store/put-image.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { openStore } from "./store.ts";

const NAME = "a.example/kept:1";

/** Takes every byte that is left. */
function fill(path: string): void {
  const file = openSync(path, "w");
  for (const size of [1 << 20, 4096]) {
    try {
      for (;;) writeSync(file, Buffer.alloc(size, 1));
    } catch {
      // Full, as far as pieces of this size go.
    }
  }
  closeSync(file);
}

describe.skipIf(process.getuid?.() !== 0)("a store on a full disk (needs root, to mount a tiny one)", () => {
  it("can be read, says that there is no space when it is changed, and is as it was when there is", async (context) => {
    await using dir = await tempDir();
    using mounted = mountTmpfs(join(dir.path, "disk"), "8m");
    if (mounted === undefined) return context.skip("this machine lets nobody mount");
    const root = join(dir.path, "disk/store");
    const ballast = join(dir.path, "disk/ballast");
    await using before = await openStore(root);
    await putImage(before, NAME);
    await before.close();
    fill(ballast);
    {
      await using reader = await openStore(root, { readOnly: true });
      expect((await reader.images.list()).map(({ name }) => name)).toEqual([NAME]);
      await using writer = await openStore(root);
      await expect(writer.images.delete(NAME)).rejects.toMatchObject({ code: "NO_SPACE" });
    }
    rmSync(ballast);
    await using after = await openStore(root);
    expect((await after.images.list()).map(({ name }) => name)).toEqual([NAME]);
    await after.images.delete(NAME);
    expect(await after.images.list()).toEqual([]);
  });

  it("has a reserve that removing images may use, and makes it again when there is room", async (context) => {
    await using dir = await tempDir();
    using mounted = mountTmpfs(join(dir.path, "disk"), "32m");
    if (mounted === undefined) return context.skip("this machine lets nobody mount");
    const root = join(dir.path, "disk/store");
    const ballast = join(dir.path, "disk/ballast");
    {
      await using before = await openStore(root);
      await putImage(before, NAME);
    }
    expect(existsSync(join(root, ".reserve"))).toBe(true);
    fill(ballast);
    {
      await using store = await openStore(root, { reclaims: true });
      const image = await store.images.get(NAME);
      await store.images.delete(NAME);
      const { deleted } = await store.removeUnreferenced([image!.descriptor.digest]);
      expect(deleted).toContain(image!.descriptor.digest);
      expect(existsSync(join(root, ".reserve"))).toBe(false);
      expect((await store.collectGarbage()).broken).toEqual([]);
    }
    expect(existsSync(join(root, ".reserve"))).toBe(false);
    rmSync(ballast);
    await using after = await openStore(root, { reclaims: true });
    expect(await after.images.list()).toEqual([]);
    await after.close();
    expect(existsSync(join(root, ".reserve"))).toBe(true);
  });
});
