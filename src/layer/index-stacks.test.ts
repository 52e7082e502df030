/**
 * The one truth is `LayerApplier` with a directory. A tree in memory that layers are applied to, and one that layers applied alone are
 * merged into, must be the same to the last bit, and fail at the same layer with the same code.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { hostileTars } from "../../test/kit/hostile-tars.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { createRng } from "../../test/kit/images/rng.ts";
import { FILE_SYSTEM_CASES } from "../../test/kit/layer/file-system-cases.ts";
import { compareAppliers } from "../../test/kit/layer/compare-appliers.ts";
import { withoutInvalid } from "../../test/kit/layer/index-layers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { randomLayers } from "../../test/kit/trees/random-layers.ts";
import { wildLayers } from "../../test/kit/trees/wild-layers.ts";

const asRoot = process.getuid?.() === 0;
/** More of them by `VARVE_STACKS=5000`. */
const STACKS = Number(process.env["VARVE_STACKS"] ?? 80);

describe.skipIf(!asRoot)("stacks of layers (need root)", () => {
  it("are one tree, whoever applies them: layers that no tool makes", async () => {
    await using dir = await tempDir();
    const bound: (string | undefined)[] = [];
    let failures = 0;
    for (let seed = 1; seed <= STACKS; seed++) {
      const wild = wildLayers(createRng(seed), seed % 5 === 0 ? { layers: 12, members: 6 } : {});
      const layers = seed % 4 === 0 ? wild : withoutInvalid(wild);
      const compared = await compareAppliers(
        join(dir.path, String(seed)),
        layers.map((nodes) => packTree(nodes)),
      );
      expect({ seed, differences: compared.differences }).toEqual({ seed, differences: [] });
      bound.push(...compared.bound);
      if (compared.failure !== undefined) failures++;
    }
    // The two ways were both taken, or this proves little.
    expect(bound.filter((replay) => replay === undefined).length / bound.length).toBeGreaterThan(0.5);
    expect(bound.filter((replay) => replay !== undefined).length / bound.length).toBeGreaterThan(0.1);
    expect(failures / STACKS).toBeLessThan(0.3);
  });

  it.each([
    { made: "as tools make them", parents: 1, lowerLinks: false, least: 1 },
    { made: "without some parents", parents: 0.7, lowerLinks: false, least: 0.9 },
    { made: "with links to lower files", parents: 1, lowerLinks: true, least: 0.1 },
  ])("are one tree, and are merged by their metadata: layers $made", async ({ parents, lowerLinks, least }) => {
    await using dir = await tempDir();
    const bound: (string | undefined)[] = [];
    for (let seed = 1; seed <= 10; seed++) {
      const layers = randomLayers(createRng(seed), { size: 60, layers: 6, maxFileSize: 2000, parents, lowerLinks });
      const compared = await compareAppliers(
        join(dir.path, String(seed)),
        layers.map((nodes) => packTree(nodes)),
      );
      expect({ seed, differences: compared.differences }).toEqual({ seed, differences: [] });
      bound.push(...compared.bound);
    }
    const merged = bound.filter((replay) => replay === undefined);
    expect(merged.length / bound.length).toBeGreaterThanOrEqual(least);
  });

  it.each([...FILE_SYSTEM_CASES, ...hostileTars("/nowhere").map(({ name, layers }) => [name, layers] as const)])(
    "%s",
    async (_, layers) => {
      await using dir = await tempDir();
      const compared = await compareAppliers(
        join(dir.path, "tree"),
        layers.map((nodes) => packTree(nodes)),
      );
      expect(compared.differences).toEqual([]);
    },
  );
});
