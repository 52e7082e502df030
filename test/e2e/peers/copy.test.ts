/** `varve copy` between the store and files, with skopeo at the other end each time. */
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CopyResult } from "../../../src/transfer/copy.ts";
import { buildImage, buildIndex, type KitImage } from "../../kit/images/build-image.ts";
import { writeOciLayout } from "../../kit/images/oci-layout.ts";
import { createRng } from "../../kit/images/rng.ts";
import { diffTrees } from "../../kit/trees/diff-trees.ts";
import { expectedTree } from "../../kit/trees/expected-tree.ts";
import { randomLayers } from "../../kit/trees/random-layers.ts";
import { readTree } from "../../kit/trees/read-tree.ts";
import type { TreeNode } from "../../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "../machine.ts";
import { storeFaults } from "../store-health.ts";
import { isRoot, lacks, skopeo, skopeoCopy, skopeoManifest, skopeoRaw } from "./programs.ts";

const ARCHIVE_TAG = "example.com/team/app:v1";

interface Scene {
  readonly machine: Machine;
  readonly layers: TreeNode[][];
  readonly image: KitImage;
  /** The image in a layout. */
  readonly start: string;
  readonly place: (transport: string, name: string) => string;
}

async function setUp(seed: number, compression: "gzip" | "zstd" = "gzip"): Promise<Scene> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const layers = randomLayers(createRng(seed), { size: 40 });
  const image = await buildImage({ layers, compression });
  await writeOciLayout(join(machine.path, "start"), image, "v1");
  const place = (transport: string, name: string): string =>
    `${transport}:${machine.path}/${name}:${transport === "docker-archive" ? ARCHIVE_TAG : "v1"}`;
  return { machine, layers, image, start: place("oci", "start"), place };
}

const copy = async (machine: Machine, ...args: string[]): Promise<CopyResult> =>
  (await machine.ok("copy", ...args)) as CopyResult;

/** In what the image's tree, unpacked by varve, differs from the model's. */
async function treeFaults({ machine, layers }: Scene, image: string, name: string): Promise<string[]> {
  const tree = join(machine.path, name);
  await machine.ok("unpack", image, tree);
  return diffTrees(expectedTree(layers), await readTree(tree), { root: false, directoryTimes: false });
}

describe.skipIf(lacks("skopeo") || !isRoot)("copies", () => {
  it.each(["gzip", "zstd"] as const)(
    "of %s layers go from the store to layouts and archives of them, digests kept, for skopeo to read",
    async (compression) => {
      const { machine, image, start, place } = await setUp(1, compression);
      const stored = await copy(machine, start, "app:v1");
      expect(stored).toMatchObject({ digest: image.digest, mediaType: image.descriptor.mediaType });
      for (const transport of ["oci", "oci-archive"]) {
        const there = place(transport, `out-${transport}`);
        expect((await copy(machine, "app:v1", there)).digest).toBe(image.digest);
        expect((await skopeoRaw(there)).equals(image.bytes)).toBe(true);
        // All of it: skopeo hashes every blob that it copies.
        const read = place("oci", `read-${transport}`);
        await skopeoCopy(there, read);
        expect((await skopeoRaw(read)).equals(image.bytes)).toBe(true);
      }
      expect(await storeFaults(machine.root)).toEqual([]);
    },
  );

  it.each(["gzip", "zstd"] as const)(
    "of %s layers go to a docker-archive that skopeo reads, the image ID kept",
    async (compression) => {
      const scene = await setUp(2, compression);
      const { machine, image, start, place } = scene;
      await copy(machine, start, "app:v1");
      const archive = place("docker-archive", "app.tar");
      await copy(machine, "app:v1", archive);
      expect((await skopeo("inspect", "--config", "--raw", archive)).equals(image.config.bytes)).toBe(true);
      expect(JSON.parse((await skopeo("inspect", archive)).toString())).toMatchObject({
        Layers: image.layers.map(({ diffId }) => diffId),
      });
      const back = place("oci", "back");
      await skopeoCopy(archive, back);
      expect(await treeFaults(scene, back, "tree")).toEqual([]);
    },
  );

  it.each(["oci", "oci-archive"])("of what skopeo wrote as %s come into the store as they are", async (transport) => {
    const scene = await setUp(3);
    const { machine, image, start, place } = scene;
    const theirs = place(transport, "theirs");
    await skopeoCopy(start, theirs);
    expect(await copy(machine, theirs, "app:v1")).toMatchObject({
      digest: image.digest,
      blobs: { copied: image.blobs.length, present: 0 },
    });
    expect((await machine.images()).map(({ digest, imageId }) => [digest, imageId])).toEqual([
      [image.digest, image.config.digest],
    ]);
    expect(await treeFaults(scene, "app:v1", "tree")).toEqual([]);
    // Without the store in between as well.
    expect(await treeFaults(scene, theirs, "directly")).toEqual([]);
  });

  it("of what skopeo wrote as docker-archive come into the store with their image ID", async () => {
    const scene = await setUp(4);
    const { machine, image, start, place } = scene;
    const theirs = place("docker-archive", "theirs.tar");
    // skopeo writes the config of an archive in Docker's own form, with another ID: the archive's is what counts.
    await skopeoCopy(start, theirs);
    const { config } = await skopeoManifest(theirs);
    await copy(machine, theirs, "app:v1");
    expect((await machine.images()).map(({ imageId }) => imageId)).toEqual([config.digest]);
    expect(await machine.ok("inspect", "app:v1")).toMatchObject({
      layers: image.layers.map(({ diffId }) => ({ digest: diffId, diffId })),
    });
    expect(await treeFaults(scene, "app:v1", "tree")).toEqual([]);
    expect((await skopeoManifest(`oci:${machine.root}:v1`)).config.digest).toBe(config.digest);
  });

  it("of a whole index keep every digest through every form that can hold one", async () => {
    const { machine, place } = await setUp(5);
    const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
    const images = await Promise.all(
      platforms.map((platform, seed) => buildImage({ layers: randomLayers(createRng(seed), { size: 10 }), platform })),
    );
    const index = buildIndex(images);
    await writeOciLayout(join(machine.path, "multi"), index, "v1");
    const chain = [
      place("oci", "multi"),
      "multi:v1",
      place("oci-archive", "multi.tar"),
      place("oci", "multi-2"),
      "multi:v2",
    ];
    for (const [at, from] of chain.slice(0, -1).entries()) {
      expect((await copy(machine, "--all", from, chain[at + 1]!)).digest).toBe(index.digest);
    }
    for (const name of [place("oci-archive", "multi.tar"), place("oci", "multi-2")]) {
      expect((await skopeoRaw(name)).equals(index.bytes)).toBe(true);
    }
    const all = place("oci", "by-skopeo");
    await skopeoCopy(`oci:${machine.root}:docker.io/library/multi:v2`, all, "--all");
    expect((await skopeoRaw(all)).equals(index.bytes)).toBe(true);

    const one = place("docker-archive", "arm64.tar");
    await copy(machine, "--platform", "linux/arm64", "multi:v1", one);
    expect((await skopeoManifest(one)).config.digest).toBe(images[1]!.config.digest);
    const failure = await machine.fails("copy", "--all", "multi:v1", place("docker-archive", "none.tar"));
    expect(failure).toMatchObject({ code: "USAGE", hint: expect.stringContaining("--platform") });
  });
});
