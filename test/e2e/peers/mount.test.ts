/** What varve mounts and commits, held to what skopeo and umoci make of the same images. */
import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CommitResult } from "../../../src/transfer/commit-image.ts";
import { buildImage } from "../../kit/images/build-image.ts";
import { pushImage } from "../../kit/images/push-image.ts";
import { writeOciLayout } from "../../kit/images/oci-layout.ts";
import { createRng } from "../../kit/images/rng.ts";
import { startRegistry } from "../../kit/registry/registry.ts";
import { diffTrees } from "../../kit/trees/diff-trees.ts";
import { randomLayers } from "../../kit/trees/random-layers.ts";
import { readTree, type TreeEntry } from "../../kit/trees/read-tree.ts";
import { directory, file, whiteout, type TreeNode } from "../../kit/trees/tree-node.ts";
import type { Machine } from "../machine.ts";
import { DRIVERS, execOk, expectTidy, mountMachine, placeFor } from "../mounting.ts";
import { lacks, skopeoCopy, skopeoManifest, umociUnpack } from "./programs.ts";

/** On a machine that may have other work. */
const MANY_MS = 180_000;

/** An image as a builder wrote it, and in the store; and what umoci unpacks of it. */
async function setUp(
  layers: readonly TreeNode[][],
): Promise<{ machine: Machine; place: string; theirs: readonly TreeEntry[] }> {
  const machine = await mountMachine();
  const layout = join(machine.path, "layout");
  await writeOciLayout(layout, await buildImage({ layers }), "v1");
  await machine.ok("copy", `oci:${layout}:v1`, "app:1");
  const theirs = await readTree(await umociUnpack(`${layout}:v1`, join(machine.path, "umoci")));
  return { machine, place: placeFor(machine), theirs };
}

describe.skipIf(lacks("umoci") || DRIVERS.length < 2)("mounted (needs root and mounts)", () => {
  it.each([21, 22, 23, 24])("random stacks of layers are what umoci unpacks, the root too (seed %d)", async (seed) => {
    const root = directory("", { mode: 0o711, uid: seed, mtime: BigInt(seed) * 1_000_000_007n });
    const [base = [], ...more] = randomLayers(createRng(seed), { size: 60, layers: 4, maxFileSize: 4000 });
    const { machine, place, theirs } = await setUp([[...(seed % 2 === 0 ? [root] : []), ...base], ...more]);
    for (const driver of DRIVERS) {
      await machine.ok("mount", "--snapshotter", driver, "app:1", place);
      expect([driver, diffTrees(await readTree(place), theirs)]).toEqual([driver, []]);
      await machine.ok("umount", place);
    }
    await expectTidy(machine);
  });

  it("127 layers that were pulled are one tree", { timeout: MANY_MS }, async () => {
    const layers = Array.from({ length: 127 }, (_, at): TreeNode[] => [
      directory("d", { mode: 0o755, mtime: BigInt(at) * 1_000_000_000n }),
      file(`d/${at}`, `added by ${at}`),
      file("every", `changed by ${at}`, { mode: 0o600, uid: at }),
      ...(at % 3 === 2 ? [whiteout(`d/${at - 1}`)] : []),
      ...(at % 50 === 49 ? [file(`deep/${at}/er/file`, "below what no layer has an entry for")] : []),
    ]);
    const machine = await mountMachine();
    const place = placeFor(machine);
    const image = await buildImage({ layers });
    await using registry = await startRegistry();
    await pushImage(registry.host, "many", "1", image);
    const name = `${registry.host}/many:1`;
    await writeOciLayout(join(machine.path, "layout"), image, "v1");
    const theirs = await readTree(await umociUnpack(`${machine.path}/layout:v1`, join(machine.path, "umoci")));
    for (const driver of DRIVERS.filter((each) => each !== "copy")) {
      await execOk(machine, ["pull", "--snapshotter", driver, name]);
      await execOk(machine, ["mount", "--snapshotter", driver, name, place]);
      expect([driver, diffTrees(await readTree(place), theirs, { directoryTimes: false })]).toEqual([driver, []]);
      await machine.ok("umount", place);
      await machine.ok("mount", "--snapshotter", driver, "--rw", name, place);
      appendFileSync(join(place, "every"), " and here");
      expect(await machine.ok("umount", place)).toMatchObject({ driver, kept: true });
    }
    await expectTidy(machine);
  });

  it.skipIf(lacks("skopeo"))("and committed, changes become an image that skopeo and umoci read", async () => {
    const { machine, place } = await setUp(randomLayers(createRng(31), { size: 60, layers: 3 }));
    for (const driver of DRIVERS) {
      await machine.ok("mount", "--snapshotter", driver, "--rw", "--key", driver, "app:1", place);
      mkdirSync(join(place, "opt/new"), { recursive: true });
      writeFileSync(join(place, "opt/new/tool"), "#!/bin/sh\n", { mode: 0o4755 });
      symlinkSync("new/tool", join(place, "opt/link"));
      const victim = (await readTree(place)).find(({ type, path }) => type === "directory" && path !== "");
      rmSync(join(place, victim?.path ?? "none"), { recursive: true });
      const shown = await readTree(place);
      await machine.ok("umount", place);
      for (const compression of ["gzip", "zstd"]) {
        const name = `${driver}:${compression}`;
        const made = (await execOk(machine, ["commit", driver, name, "--compression", compression])) as CommitResult;
        const out = join(machine.path, `${driver}-${compression}`);
        await execOk(machine, ["copy", name, `oci:${out}:v1`]);
        const copy = `oci:${out}-by-skopeo:v1`;
        await skopeoCopy(`oci:${out}:v1`, copy);
        expect((await skopeoManifest(copy)).config.digest).toBe(made.imageId);
        // umoci knows gzip only.
        if (compression === "zstd") continue;
        const tree = await readTree(await umociUnpack(`${out}-by-skopeo:v1`, `${out}-bundle`));
        expect([name, diffTrees(tree, shown, { root: false, directoryTimes: false })]).toEqual([name, []]);
      }
    }
    await expectTidy(machine);
  });
});
