/** Content of one disk that becomes a place of another: shared where the file system can, and verified where it is now. */
import { readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DISK_FILE_SYSTEMS } from "../../test/kit/disk/file-systems.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { digestOf } from "../oci/digest.ts";
import { openStore } from "../store/store.ts";
import { assemble } from "./assembler.ts";

const MIB = 1 << 20;
const PLACE = 5 * MIB;

const [own, ...others] = DISK_FILE_SYSTEMS;
const places = [own!, ...others.filter(({ shares }) => shares)];

describe.each(places)("a place of a disk on $name", ({ missing, shares, ...place }) => {
  it.skipIf(missing !== undefined).each([true, false])(
    "takes what another disk holds, digest known: %s",
    async (known) => {
      await using dir = await place.make();
      const source = join(dir.path, "source");
      const bytes = noise(16 * MIB);
      writeFileSync(source, bytes, { flush: true });
      await using store = await openStore(join(dir.path, "store"));
      const content = { digest: digestOf(bytes), size: bytes.length, offset: PLACE };
      const disk = await store.disks.open({ key: digestOf("disk"), size: PLACE + bytes.length });
      if (!("commit" in disk)) return expect.unreachable();
      await using partial = disk;
      await using window = await partial.window(content);
      const free = (): number => statfsSync(dir.path).bfree * statfsSync(dir.path).bsize;
      const before = free();
      const digest = known ? { digest: content.digest } : {};
      const segments = [{ kind: "local" as const, path: source, start: 0, length: bytes.length, ...digest }];
      const recipe = { target: { digest: content.digest, size: content.size }, segments };
      const report = await assemble(recipe, { ingest: window, blobs: new MemoryBlobs() });
      await window.commit(report);
      const { path } = await partial.commit([content]);
      expect(readFileSync(path).subarray(PLACE).equals(bytes)).toBe(true);
      if (shares) expect(before - free()).toBeLessThan(bytes.length / 2);
    },
  );
});
