/** Copies between registries, the store, layouts and archives: digests kept, what refers to images along, nothing twice. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CopyResult } from "../../src/transfer/copy.ts";
import { buildImage, buildIndex, type KitImage } from "../kit/images/build-image.ts";
import { writeOciLayout } from "../kit/images/oci-layout.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { startRegistry, type KitRegistry, type RegistryOptions } from "../kit/registry/registry.ts";
import { file } from "../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "./machine.ts";
import { layerBytes, sampleImage } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

async function aMachine(): Promise<Machine> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  return machine;
}

async function aRegistry(options: RegistryOptions = {}): Promise<KitRegistry> {
  const registry = await startRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}

const copy = async (machine: Machine, ...args: readonly string[]): Promise<CopyResult> =>
  (await machine.ok("copy", ...args)) as CopyResult;

const asked = ({ requests }: KitRegistry): string[] => requests.map(({ method, path }) => `${method} ${path}`);

async function manifestAt(host: string, name: string, target: string): Promise<Buffer | undefined> {
  const answer = await fetch(`http://${host}/v2/${name}/manifests/${target}`);
  return answer.status === 200 ? Buffer.from(await answer.arrayBuffer()) : undefined;
}

/** Digests of what refers to a manifest, by the API or by the fallback tag. */
async function referrersAt(host: string, name: string, subject: string): Promise<string[]> {
  const listed = await fetch(`http://${host}/v2/${name}/referrers/${subject}`);
  const found =
    listed.status === 200 ? listed : await fetch(`http://${host}/v2/${name}/manifests/${subject.replace(":", "-")}`);
  if (found.status !== 200) return [];
  const { manifests } = (await found.json()) as { manifests: { digest: string }[] };
  return manifests.map(({ digest }) => digest).toSorted();
}

/** An image, a signature of it, and a signature of the signature. */
async function signed(seed = 1): Promise<[KitImage, KitImage, KitImage]> {
  const image = await sampleImage(seed);
  const artifactType = "application/vnd.example.signature";
  const sign = (subject: KitImage, text: string): Promise<KitImage> =>
    buildImage({ layers: [[file("signature", text)]], artifactType, subject: subject.descriptor });
  const signature = await sign(image, `signed ${seed}`);
  return [image, signature, await sign(signature, `signed twice ${seed}`)];
}

describe("a copy from registry to registry", () => {
  it("streams, and makes no store", async () => {
    const machine = await aMachine();
    const [from, to] = [await aRegistry(), await aRegistry()];
    const image = await sampleImage();
    await pushImage(from.host, "team/app", "v1", image);
    from.clearRequests();
    const names = [`docker://${from.host}/team/app:v1`, `docker://${to.host}/mirror/app:v1`] as const;
    const result = await copy(machine, ...names);
    const bytes = layerBytes(image) + image.config.bytes.length;
    expect(result).toMatchObject({
      digest: image.digest,
      blobs: { copied: 4, mounted: 0, present: 0 },
      bytes: { network: bytes + image.bytes.length, sent: bytes + image.bytes.length, copied: bytes },
      requests: from.requests.length + to.requests.length,
    });
    expect(await manifestAt(to.host, "mirror/app", "v1")).toEqual(image.bytes);
    expect(existsSync(machine.root)).toBe(false);
    from.clearRequests();
    to.clearRequests();
    expect(await copy(machine, ...names)).toMatchObject({ status: "up-to-date", blobs: { copied: 0 } });
    expect(asked(to)).toEqual(["HEAD /v2/mirror/app/manifests/v1"]);
    expect(asked(from)).toEqual(["GET /v2/team/app/manifests/v1"]);
  });

  it("that is the same one has it take the blobs over", async () => {
    const machine = await aMachine();
    const registry = await aRegistry();
    const image = await sampleImage();
    await pushImage(registry.host, "team/app", "v1", image);
    registry.clearRequests();
    const result = await copy(machine, `docker://${registry.host}/team/app:v1`, `docker://${registry.host}/copy:v1`);
    expect(result).toMatchObject({ blobs: { copied: 0, mounted: 4, present: 0 }, bytes: { copied: 0 } });
    expect(registry.requests.filter(({ method, path }) => method === "GET" && path.includes("/blobs/"))).toEqual([]);
    expect(await manifestAt(registry.host, "copy", "v1")).toEqual(image.bytes);
  });

  it("asks once about each part of an index, and reads only what is not there", async () => {
    const machine = await aMachine();
    const [from, to] = [await aRegistry(), await aRegistry()];
    const platforms = ["amd64", "arm64", "s390x"].map((architecture) => ({ os: "linux", architecture }));
    const images = await Promise.all(platforms.map((platform, seed) => sampleImage(seed, { platform })));
    const index = buildIndex(images);
    await pushImage(from.host, "app", "v1", index);
    await pushImage(to.host, "app", "one", images[0]!);
    from.clearRequests();
    to.clearRequests();
    const result = await copy(machine, "--all", `docker://${from.host}/app:v1`, `docker://${to.host}/app:v1`);
    expect(result).toMatchObject({ digest: index.digest, manifests: 3, blobs: { copied: 8 } });
    const there = images[0]!.digest;
    expect(asked(to).filter((line) => line.includes(there))).toEqual([`HEAD /v2/app/manifests/${there}`]);
    expect(asked(from).filter((line) => line.includes(there))).toEqual([]);
    expect(await manifestAt(to.host, "app", "v1")).toEqual(index.bytes);
  });

  it("lets wrong bytes through to nobody", async () => {
    const machine = await aMachine();
    const [liar, to] = [
      await aRegistry({ quirks: { credulous: true } }),
      await aRegistry({ quirks: { credulous: true } }),
    ];
    const lies = { layers: { 1: { corrupt: true } } } as const;
    await pushImage(liar.host, "app", "v1", await sampleImage(1, { lies }));
    const failure = await machine.fails("copy", `docker://${liar.host}/app:v1`, `docker://${to.host}/app:v1`);
    expect(failure).toMatchObject({ code: "DIGEST_MISMATCH", exit: 5 });
    expect(await manifestAt(to.host, "app", "v1")).toBeUndefined();
  });
});

describe("a copy to and from a registry", () => {
  it("goes through every kind of place and back, digests kept", async () => {
    const machine = await aMachine();
    const registry = await aRegistry();
    const image = await sampleImage();
    await pushImage(registry.host, "app", "v1", image);
    const places = [
      `docker://${registry.host}/app:v1`,
      `oci:${machine.path}/layout:v1`,
      `docker://${registry.host}/second:v1`,
      `oci-archive:${machine.path}/image.tar:v1`,
      `docker://${registry.host}/third:v1`,
      `${registry.host}/held:v1`,
      `docker://${registry.host}/fourth:v1`,
    ];
    for (const [at, from] of places.slice(0, -1).entries()) {
      expect(await copy(machine, from, places[at + 1]!)).toMatchObject({ digest: image.digest });
    }
    expect(await manifestAt(registry.host, "fourth", "v1")).toEqual(image.bytes);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("of a docker-archive gives the image ID back, with plain layers", async () => {
    const machine = await aMachine();
    const registry = await aRegistry();
    const image = await sampleImage();
    await pushImage(registry.host, "app", "v1", image);
    const archive = `docker-archive:${machine.path}/app.tar:app:v1`;
    await copy(machine, `docker://${registry.host}/app:v1`, archive);
    const back = await copy(machine, archive, `docker://${registry.host}/back:v1`);
    const manifest = JSON.parse((await manifestAt(registry.host, "back", "v1"))!.toString()) as {
      config: { digest: string };
      layers: { digest: string }[];
    };
    expect(manifest.config.digest).toBe(image.config.digest);
    expect(manifest.layers.map(({ digest }) => digest)).toEqual(image.layers.map(({ diffId }) => diffId));
    expect(await copy(machine, archive, `docker://${registry.host}/back:v1`)).toMatchObject({
      status: "up-to-date",
      digest: back.digest,
    });
  });

  it("leaves layers that may not be distributed where they are", async () => {
    const machine = await aMachine();
    const registry = await aRegistry();
    const layer = {
      mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
      digest: `sha256:${"1".repeat(64)}`,
      size: 1000,
      urls: ["https://example.invalid/layer"],
    };
    const lies = { extraLayers: [layer], extraDiffIds: [`sha256:${"2".repeat(64)}`] } as never;
    const image = await buildImage({ layers: [[file("a", "a")]], lies });
    const dir = join(machine.path, "layout");
    await writeOciLayout(dir, image, "v1");
    expect(await copy(machine, `oci:${dir}:v1`, `docker://${registry.host}/app:v1`)).toMatchObject({
      blobs: { copied: 2, mounted: 0, present: 1 },
    });
  });
});

describe("a copy to a docker-archive", () => {
  it("is refused before anything is read when it cannot hold the image", async () => {
    const machine = await aMachine();
    const registry = await aRegistry();
    await pushImage(registry.host, "app", "index", buildIndex([await sampleImage()]));
    registry.clearRequests();
    const target = `docker-archive:${machine.path}/image.tar`;
    const index = await machine.fails("copy", "--all", `docker://${registry.host}/app:index`, target);
    expect(index).toMatchObject({ code: "USAGE", exit: 2, hint: expect.stringContaining("--platform") });
    expect(asked(registry).filter((line) => line.includes("/blobs/"))).toEqual([]);
    expect(existsSync(`${machine.path}/image.tar`)).toBe(false);
  });
});

describe("a copy with --referrers", () => {
  it.each([true, false])(
    "takes what refers to an image along, and what refers to that (referrers API: %s)",
    async (api) => {
      const machine = await aMachine();
      const [from, to] = [
        await aRegistry({ quirks: { referrers: api } }),
        await aRegistry({ quirks: { referrers: !api } }),
      ];
      const [image, signature, second] = await signed();
      await pushImage(from.host, "app", "v1", image);
      const dir = join(machine.path, "layout");
      await writeOciLayout(dir, image, "v1");
      await writeOciLayout(dir, signature, "signature");
      await writeOciLayout(dir, second, "second");
      // By varve, which keeps the lists of registries that do not.
      for (const tag of ["signature", "second"])
        await copy(machine, `oci:${dir}:${tag}`, `docker://${from.host}/app:${tag}`);
      expect(await referrersAt(from.host, "app", image.digest)).toEqual([signature.digest]);
      const names = [`docker://${from.host}/app:v1`, `docker://${to.host}/app:v1`] as const;
      await copy(machine, ...names);
      expect(await referrersAt(to.host, "app", image.digest)).toEqual([]);
      const result = await copy(machine, "--referrers", ...names);
      expect(result).toMatchObject({ digest: image.digest, status: "copied", manifests: 2 });
      expect(await referrersAt(to.host, "app", image.digest)).toEqual([signature.digest]);
      expect(await referrersAt(to.host, "app", signature.digest)).toEqual([second.digest]);
      expect(await manifestAt(to.host, "app", signature.digest)).toEqual(signature.bytes);
      to.clearRequests();
      const again = await copy(machine, "--referrers", ...names);
      expect(again).toMatchObject({ status: "up-to-date", manifests: 0, bytes: { sent: 0 } });
      expect(to.requests.filter(({ method }) => method !== "HEAD" && method !== "GET")).toEqual([]);
    },
  );

  it("lists what a push before was stopped before it had listed it", async () => {
    const machine = await aMachine();
    const [from, to] = [await aRegistry(), await aRegistry({ quirks: { referrers: false } })];
    const [image, signature] = await signed();
    for (const [tag, one] of [
      ["v1", image],
      ["signature", signature],
    ] as const) {
      await pushImage(from.host, "app", tag, one);
      await pushImage(to.host, "app", tag, one);
    }
    expect(await referrersAt(to.host, "app", image.digest)).toEqual([]);
    const names = [`docker://${from.host}/app:v1`, `docker://${to.host}/app:v1`] as const;
    expect(await copy(machine, "--referrers", ...names)).toMatchObject({ status: "copied", manifests: 1 });
    expect(await referrersAt(to.host, "app", image.digest)).toEqual([signature.digest]);
  });

  it("goes through layouts, archives and the store", async () => {
    const machine = await aMachine();
    const registry = await aRegistry();
    const [image, signature, second] = await signed();
    for (const [tag, one] of [
      ["v1", image],
      ["signature", signature],
      ["second", second],
    ] as const) {
      await pushImage(registry.host, "app", tag, one);
    }
    const places = [
      `docker://${registry.host}/app:v1`,
      `oci:${machine.path}/layout`,
      `oci-archive:${machine.path}/image.tar`,
      `${registry.host}/held:v1`,
      `docker://${registry.host}/again:v1`,
    ];
    for (const [at, from] of places.slice(0, -1).entries()) {
      for (const manifests of [3, at === 1 ? 3 : undefined]) {
        const result = await copy(machine, "--referrers", from, places[at + 1]!);
        expect(result.digest).toBe(image.digest);
        if (manifests !== undefined) expect(result.manifests).toBe(manifests);
      }
    }
    expect(await referrersAt(registry.host, "again", image.digest)).toEqual([signature.digest]);
    expect(await referrersAt(registry.host, "again", signature.digest)).toEqual([second.digest]);
    await machine.ok("gc");
    expect(await copy(machine, "--referrers", places[3]!, `docker://${registry.host}/more:v1`)).toMatchObject({
      manifests: 3,
    });
    expect(await storeFaults(machine.root)).toEqual([]);
    const archive = `docker-archive:${machine.path}/docker.tar`;
    expect(await machine.fails("copy", "--referrers", places[3]!, archive)).toMatchObject({ code: "USAGE", exit: 2 });
    expect(existsSync(`${machine.path}/docker.tar`)).toBe(false);
  });

  it("of an index takes along what refers to its parts", async () => {
    const machine = await aMachine();
    const [from, to] = [await aRegistry(), await aRegistry()];
    const [image, signature] = await signed();
    await pushImage(from.host, "app", "v1", buildIndex([image]));
    await pushImage(from.host, "app", "signature", signature);
    const result = await copy(
      machine,
      "--all",
      "--referrers",
      `docker://${from.host}/app:v1`,
      `docker://${to.host}/app:v1`,
    );
    expect(result.manifests).toBe(3);
    expect(await referrersAt(to.host, "app", image.digest)).toEqual([signature.digest]);
    // The tag comes when all that belongs to it is there.
    expect(asked(to).findLast((line) => line.startsWith("PUT"))).toBe("PUT /v2/app/manifests/v1");
  });
});
