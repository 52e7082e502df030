/** Images as other builders and registries have them: compressed another way, of Docker's types, for several platforms. */
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { digestOf } from "../../../src/oci/digest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";
import { buildImage, buildIndex, type KitImage } from "../../kit/images/build-image.ts";
import type { Compression } from "../../kit/images/compress.ts";
import { writeOciLayout } from "../../kit/images/oci-layout.ts";
import { createRng } from "../../kit/images/rng.ts";
import { startDockerRegistry, type DockerRegistry } from "../../kit/peers/docker-registry.ts";
import { diffTrees } from "../../kit/trees/diff-trees.ts";
import { expectedTree } from "../../kit/trees/expected-tree.ts";
import { randomLayers } from "../../kit/trees/random-layers.ts";
import { readTree } from "../../kit/trees/read-tree.ts";
import type { TreeNode } from "../../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "../machine.ts";
import { storeFaults } from "../store-health.ts";
import { isRoot, lacks, skopeoCopy, skopeoManifest, skopeoRaw } from "./programs.ts";

interface Scene {
  readonly machine: Machine;
  readonly registry: DockerRegistry;
}

async function setUp(): Promise<Scene> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startDockerRegistry();
  onTestFinished(() => registry.close());
  return { machine, registry };
}

/** In what the image, pulled from the registry and unpacked, differs from the model of its layers. */
async function pulledFaults(
  { machine }: Scene,
  name: string,
  layers: readonly TreeNode[][],
  ...flags: string[]
): Promise<string[]> {
  await machine.pull(...flags, name);
  const tree = join(machine.path, `tree${flags.join("").replaceAll("/", "-")}`);
  await machine.ok("unpack", ...flags, name, tree);
  const faults = diffTrees(expectedTree(layers), await readTree(tree), { root: false, directoryTimes: false });
  return [...faults, ...(await storeFaults(machine.root))];
}

const typesOf = async (name: string): Promise<string[]> => {
  const { layers } = await skopeoManifest(`docker://${name}`);
  return [...new Set(layers.map(({ mediaType }) => mediaType))];
};

/** What it was made of, how skopeo is told to push it, and of what type the layers then are. */
const FORMS: readonly (readonly [what: string, from: Compression, flags: string[], layerType: string])[] = [
  ["zstd layers of skopeo's making", "none", ["--dest-compress", "--dest-compress-format", "zstd"], "ociLayerZstd"],
  ["zstd layers of Node's making", "zstd", ["--preserve-digests"], "ociLayerZstd"],
  ["layers that are not compressed", "none", ["--preserve-digests"], "ociLayer"],
  ["gzip layers of skopeo's making, in Docker's schema 2", "none", ["--format", "v2s2"], "dockerLayerGzip"],
  ["gzip layers of Node's making, in Docker's schema 2", "gzip", ["--format", "v2s2"], "dockerLayerGzip"],
];

describe.skipIf(lacks("docker-registry", "skopeo") || !isRoot)("from docker-registry", () => {
  it.each(FORMS)("come %s", async (_, compression, flags, layerType) => {
    const scene = await setUp();
    const layers = randomLayers(createRng(11), { size: 60 });
    const image = await buildImage({ layers, compression });
    await writeOciLayout(join(scene.machine.path, "in"), image, "v1");
    const name = `${scene.registry.host}/team/app:v1`;
    await skopeoCopy(`oci:${scene.machine.path}/in:v1`, `docker://${name}`, ...flags);
    expect(await typesOf(name)).toEqual([MEDIA_TYPES[layerType as keyof typeof MEDIA_TYPES]]);
    expect(await pulledFaults(scene, name, layers)).toEqual([]);
    const { config } = await skopeoManifest(`docker://${name}`);
    expect((await scene.machine.images()).map(({ imageId }) => imageId)).toEqual([config.digest]);
  });

  it.each([
    ["OCI's", ["--preserve-digests"], MEDIA_TYPES.ociIndex],
    ["Docker's", ["--format", "v2s2"], MEDIA_TYPES.dockerIndex],
  ])("comes of %s indexes the platform that is asked for", async (_, flags, mediaType) => {
    const scene = await setUp();
    const { machine, registry } = scene;
    const stacks = new Map<string, TreeNode[][]>();
    const images: KitImage[] = [];
    for (const [seed, architecture] of ["amd64", "arm64"].entries()) {
      const layers = randomLayers(createRng(seed), { size: 30 });
      images.push(await buildImage({ layers, platform: { os: "linux", architecture } }));
      stacks.set(`linux/${architecture}`, layers);
    }
    await writeOciLayout(join(machine.path, "in"), buildIndex(images), "v1");
    const name = `${registry.host}/multi:v1`;
    await skopeoCopy(`oci:${machine.path}/in:v1`, `docker://${name}`, "--all", ...flags);
    const digest = digestOf(await skopeoRaw(`docker://${name}`));
    const imageIds = new Set<unknown>();
    for (const [platform, layers] of stacks) {
      expect(await pulledFaults(scene, name, layers, "--platform", platform)).toEqual([]);
      const [image, ...others] = await machine.images();
      expect(others).toEqual([]);
      expect(image).toMatchObject({ name, platform, digest });
      imageIds.add(image?.imageId);
    }
    expect(imageIds.size).toBe(2);
    expect(await machine.ok("inspect", name)).toMatchObject({ mediaType, platforms: [...stacks.keys()] });
    const failure = await machine.fails("pull", "--platform", "linux/riscv64", name);
    expect(failure).toMatchObject({ code: "PLATFORM_NOT_FOUND", hint: expect.stringContaining("linux/arm64") });
  });
});
