/** The store's directory as other programs read it: an image layout, whatever was pulled into it. */
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { KitImage } from "../../kit/images/build-image.ts";
import { buildIndex } from "../../kit/images/build-image.ts";
import { pushImage } from "../../kit/images/push-image.ts";
import { startDockerRegistry, type DockerRegistry } from "../../kit/peers/docker-registry.ts";
import { readFile } from "node:fs/promises";
import { newMachine, type Machine } from "../machine.ts";
import { sampleImage } from "../samples.ts";
import { isRoot, lacks, skopeo, skopeoCopy, skopeoManifest, skopeoRaw, umociList, umociUnpack } from "./programs.ts";

async function setUp(): Promise<{ machine: Machine; registry: DockerRegistry }> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startDockerRegistry();
  onTestFinished(() => registry.close());
  return { machine, registry };
}

/** Who made a tree of `sampleImage`. */
const makerOf = (tree: string): Promise<string> => readFile(join(tree, "etc/new"), "utf8");

describe.skipIf(lacks("docker-registry", "skopeo", "umoci") || !isRoot)("the store's directory", () => {
  it("is a layout in which skopeo and umoci find a pulled image by its tag and by its full name", async () => {
    const { machine, registry } = await setUp();
    const image = await sampleImage(1);
    const name = `${registry.host}/team/app:v1`;
    await pushImage(registry.host, "team/app", "v1", image);
    await machine.pull(name);
    expect(await umociList(machine.root)).toEqual([name, "v1"].toSorted());
    for (const [at, tag] of ["v1", name].entries()) {
      const there = `oci:${machine.root}:${tag}`;
      expect((await skopeoRaw(there)).equals(image.bytes)).toBe(true);
      expect(JSON.parse((await skopeo("inspect", there)).toString())).toMatchObject({
        Digest: image.digest,
        Architecture: "amd64",
        Layers: image.layers.map(({ descriptor }) => descriptor.digest),
      });
      const tree = await umociUnpack(`${machine.root}:${tag}`, join(machine.path, `bundle${at}`));
      expect(await makerOf(tree)).toBe("made by 1\n");
    }
  });

  it("gives a tag that several repositories have to the last one, and tells all of them by their full names", async () => {
    const { machine, registry } = await setUp();
    const images = new Map<string, KitImage>();
    for (const [seed, repository] of ["one", "two", "three/deep"].entries()) {
      images.set(repository, await sampleImage(seed));
      await pushImage(registry.host, repository, "v1", images.get(repository)!);
      await machine.pull(`${registry.host}/${repository}:v1`);
    }
    const names = [...images.keys()].map((repository) => `${registry.host}/${repository}:v1`);
    expect(await umociList(machine.root)).toEqual([...names, "v1"].toSorted());
    for (const [repository, { bytes }] of images) {
      expect((await skopeoRaw(`oci:${machine.root}:${registry.host}/${repository}:v1`)).equals(bytes)).toBe(true);
    }
    const unpackTag = async (bundle: string) =>
      makerOf(await umociUnpack(`${machine.root}:v1`, join(machine.path, bundle)));
    expect(await unpackTag("last")).toBe("made by 2\n");

    // A pull that finds all there makes its image the last one as well; without it, it is the one before.
    expect((await machine.pull(`${registry.host}/one:v1`)).status).toBe("up-to-date");
    expect(await unpackTag("again")).toBe("made by 0\n");
    await machine.ok("rm", `${registry.host}/one:v1`);
    expect(await unpackTag("before")).toBe("made by 2\n");
    expect(await umociList(machine.root)).toEqual([...names.slice(1), "v1"].toSorted());
  });

  it("has of a multi-platform image the platform that was pulled, and the index as it was pushed", async () => {
    const { machine, registry } = await setUp();
    const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
    const images = await Promise.all(platforms.map((platform, at) => sampleImage(at, { platform })));
    const index = buildIndex(images);
    await pushImage(registry.host, "multi", "v1", index);
    const name = `${registry.host}/multi:v1`;
    for (const [at, platform] of ["linux/amd64", "linux/arm64"].entries()) {
      const image = images[at]!;
      await machine.pull("--platform", platform, name);
      expect((await skopeoRaw(`oci:${machine.root}:${name}`)).equals(index.bytes)).toBe(true);
      expect((await skopeoRaw(`oci:${machine.root}:v1`)).equals(image.bytes)).toBe(true);
      const tree = await umociUnpack(`${machine.root}:v1`, join(machine.path, `bundle${at}`));
      expect(await makerOf(tree)).toBe(`made by ${at}\n`);
      // Through the index, which names manifests that are not there.
      const copy = `oci:${machine.path}/copy${at}:v1`;
      const [os, architecture] = platform.split("/") as [string, string];
      await skopeoCopy(`oci:${machine.root}:${name}`, copy, "--override-os", os, "--override-arch", architecture);
      expect((await skopeoManifest(copy)).config.digest).toBe(image.config.digest);
    }
    // Both are held now.
    await skopeoCopy(`oci:${machine.root}:${name}`, `oci:${machine.path}/all:v1`, "--all");
    expect((await skopeoRaw(`oci:${machine.path}/all:v1`)).equals(index.bytes)).toBe(true);
  });

  it("takes what skopeo puts into it, and keeps it through pulls and removals", async () => {
    const { machine, registry } = await setUp();
    const [ours, theirs] = await Promise.all([sampleImage(1), sampleImage(2)]);
    await pushImage(registry.host, "ours", "v1", ours);
    await pushImage(registry.host, "theirs", "v1", theirs);
    await machine.pull(`${registry.host}/ours:v1`);
    await skopeoCopy(`docker://${registry.host}/theirs:v1`, `oci:${machine.root}:extra`);
    await machine.ok("tag", `${registry.host}/ours:v1`, "again:v2");
    await machine.ok("rm", `${registry.host}/ours:v1`, "again:v2");
    expect(await umociList(machine.root)).toEqual(["extra"]);
    const tree = join(machine.path, "tree");
    await machine.ok("unpack", `oci:${machine.root}:extra`, tree);
    expect(await makerOf(tree)).toBe("made by 2\n");
  });
});
