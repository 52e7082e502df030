/** Pushes to Debian's docker-registry, with skopeo at the other end: it pulls what varve pushed, and pushes what varve pulls. */
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CopyResult } from "../../src/transfer/copy.ts";
import { startFaultProxy } from "../kit/faults/fault-proxy.ts";
import { buildImage, buildIndex, type KitImage } from "../kit/images/build-image.ts";
import { writeOciLayout } from "../kit/images/oci-layout.ts";
import { startDockerRegistry, type DockerRegistry, type DockerRegistryOptions } from "../kit/peers/docker-registry.ts";
import { startTokenServer } from "../kit/registry/token-server.ts";
import { file } from "../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "./machine.ts";
import { lacks, skopeoCopy, skopeoRaw } from "./peers/programs.ts";
import { bulkImage, sampleImage } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

async function setUp(options: DockerRegistryOptions = {}): Promise<{ machine: Machine; registry: DockerRegistry }> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startDockerRegistry(options);
  onTestFinished(() => registry.close());
  return { machine, registry };
}

/** The image in a layout. */
async function layoutOf(machine: Machine, image: Parameters<typeof writeOciLayout>[1]): Promise<string> {
  await writeOciLayout(join(machine.path, "start"), image, "v1");
  return `oci:${machine.path}/start:v1`;
}

const ok = async (machine: Machine, ...args: readonly string[]): Promise<CopyResult> =>
  (await machine.ok(...args)) as CopyResult;

describe.skipIf(lacks("docker-registry", "skopeo"))("a push to docker-registry", () => {
  // Plain layers skopeo would compress.
  it.each(["gzip", "zstd"] as const)(
    "of what skopeo pushed and varve pulled (%s) is the same to skopeo",
    async (compression) => {
      const { machine, registry } = await setUp();
      const image = await sampleImage(1, { compression });
      await skopeoCopy(await layoutOf(machine, image), `docker://${registry.host}/theirs:v1`);
      await machine.ok("pull", `${registry.host}/theirs:v1`);
      const pushed = await ok(machine, "push", `${registry.host}/theirs:v1`, `${registry.host}/team/ours:v1`);
      expect(pushed).toMatchObject({ digest: image.digest, blobs: { copied: 0, mounted: 4, present: 0 } });
      expect((await skopeoRaw(`docker://${registry.host}/team/ours:v1`)).equals(image.bytes)).toBe(true);
      // All of it: skopeo hashes every blob that it copies.
      await skopeoCopy(`docker://${registry.host}/team/ours:v1`, `oci:${machine.path}/back:v1`);
      expect((await skopeoRaw(`oci:${machine.path}/back:v1`)).equals(image.bytes)).toBe(true);
      expect(await storeFaults(machine.root)).toEqual([]);
    },
  );

  it.each([[], ["--chunk-size", "30000"]])("sends blobs, whole or in chunks (%s)", async (...flags) => {
    const { machine, registry } = await setUp();
    const image = await sampleImage(2);
    const name = `${registry.host}/app:v1`;
    const sent = await ok(machine, "push", ...flags, await layoutOf(machine, image), name);
    expect(sent).toMatchObject({ digest: image.digest, blobs: { copied: 4, mounted: 0, present: 0 } });
    await skopeoCopy(`docker://${name}`, `oci:${machine.path}/back:v1`);
    expect((await skopeoRaw(`oci:${machine.path}/back:v1`)).equals(image.bytes)).toBe(true);
    const again = await ok(machine, "push", `oci:${machine.path}/start:v1`, name);
    expect(again).toMatchObject({ status: "up-to-date", requests: 1 });
  });

  it("of an index with all platforms, in Docker's types and OCI's, is whole to skopeo", async () => {
    const { machine, registry } = await setUp();
    for (const flavour of ["oci", "docker"] as const) {
      const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
      const images = await Promise.all(platforms.map((platform, seed) => sampleImage(seed, { platform, flavour })));
      const index = buildIndex(images, { flavour });
      const dir = join(machine.path, flavour);
      await writeOciLayout(dir, index, "v1");
      const name = `docker://${registry.host}/${flavour}:v1`;
      const result = await ok(machine, "copy", "--all", `oci:${dir}:v1`, name);
      expect(result.digest).toBe(index.digest);
      expect((await skopeoRaw(name)).equals(index.bytes)).toBe(true);
      await skopeoCopy(name, `dir:${machine.path}/back-${flavour}`, "--all", "--preserve-digests");
      expect((await skopeoRaw(`dir:${machine.path}/back-${flavour}`)).equals(index.bytes)).toBe(true);
    }
  });

  it("lists what refers to an image under the tag that others look for", async () => {
    const { machine, registry } = await setUp();
    const image = await sampleImage(3);
    const artifactType = "application/vnd.example.signature";
    const signature = await buildImage({ layers: [[file("s")]], artifactType, subject: image.descriptor });
    await layoutOf(machine, image);
    await writeOciLayout(join(machine.path, "start"), signature, "signature");
    const [name, source] = [`docker://${registry.host}/app:v1`, `oci:${machine.path}/start:v1`];
    const result = await ok(machine, "copy", "--referrers", source, name);
    expect(result).toMatchObject({ digest: image.digest, manifests: 2 });
    const tag = image.digest.replace(":", "-");
    const list = JSON.parse((await skopeoRaw(`docker://${registry.host}/app:${tag}`)).toString()) as unknown;
    expect(list).toMatchObject({ manifests: [{ digest: signature.digest, artifactType }] });
    const on = await ok(machine, "copy", "--referrers", name, `docker://${registry.host}/other:v1`);
    expect(on).toMatchObject({ manifests: 2, blobs: { copied: 0, present: 0 } });
  });

  it.each(["htpasswd", "token"] as const)("logs in where that is asked for (%s)", async (kind) => {
    const users = { me: "secret" };
    await using tokens = await startTokenServer({
      jwt: true,
      users: { me: { password: "secret", access: [{ name: "*", actions: ["*"] }] } },
    });
    const auth = kind === "token" ? ({ kind, server: tokens } as const) : ({ kind, users } as const);
    const { machine, registry } = await setUp({ auth });
    const image = await sampleImage(4);
    const source = await layoutOf(machine, image);
    const name = `${registry.host}/team/app:v1`;
    expect(await machine.fails("push", source, name)).toMatchObject({ exit: 4 });
    expect((await ok(machine, "push", "--creds", "me:secret", source, name)).digest).toBe(image.digest);
    const second = await ok(
      machine,
      "copy",
      "--creds",
      "me:secret",
      `docker://${name}`,
      `docker://${registry.host}/b:v1`,
    );
    expect(second.blobs).toEqual({ copied: 0, mounted: 4, present: 0 });
  });

  it("over a line that breaks ends with the whole image", async () => {
    const { machine, registry } = await setUp();
    const image: KitImage = await bulkImage(31, 900_000, 500_000);
    const rules = [
      { method: "PUT", nth: 1, fault: { kind: "dropUpload", afterBytes: 300_000 } },
      { method: ["PUT", "PATCH"], nth: 4, fault: { kind: "dropUpload", afterBytes: 70_000 } },
      { method: "PUT", path: /\/manifests\//, nth: 1, fault: { kind: "loseAnswer" } },
    ] as const;
    await using proxy = await startFaultProxy({ target: registry.host, rules });
    const result = await ok(machine, "push", await layoutOf(machine, image), `${proxy.host}/app:v1`);
    expect(result.digest).toBe(image.digest);
    expect(proxy.strikes.length).toBeGreaterThan(1);
    await skopeoCopy(`docker://${registry.host}/app:v1`, `oci:${machine.path}/back:v1`, "--preserve-digests");
    expect((await skopeoRaw(`oci:${machine.path}/back:v1`)).equals(image.bytes)).toBe(true);
  });
});
