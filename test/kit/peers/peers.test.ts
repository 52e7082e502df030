/** The kit's images and registry beside real programs: what one side writes, the other reads. */
import { join } from "node:path";
import { writeFile } from "node:fs/promises";
import { request } from "undici";
import { describe, expect, it } from "vitest";
import type { Compression, Flavour } from "../images/compress.ts";
import { buildImage, buildIndex } from "../images/build-image.ts";
import { writeOciLayout } from "../images/oci-layout.ts";
import { pushImage } from "../images/push-image.ts";
import { createRng } from "../images/rng.ts";
import { findPeer } from "../peers.ts";
import { startRegistry } from "../registry/registry.ts";
import { startTokenServer } from "../registry/token-server.ts";
import { tempDir } from "../temp-dir.ts";
import { makeCertificate } from "../tls/certificate.ts";
import { diffTrees } from "../trees/diff-trees.ts";
import { expectedTree } from "../trees/expected-tree.ts";
import { randomLayers } from "../trees/random-layers.ts";
import { randomTree } from "../trees/random-tree.ts";
import { readTree } from "../trees/read-tree.ts";
import { directory, file, hardlink, opaque, whiteout } from "../trees/tree-node.ts";
import { startDockerRegistry } from "./docker-registry.ts";
import { run, runOk, start } from "./run.ts";
import { runVarve, varveEnvironment } from "./varve.ts";

const skopeo = findPeer("skopeo") ?? "skopeo";
const PLAIN = ["--src-tls-verify=false", "--dest-tls-verify=false"];
const inspectRaw = async (reference: string) =>
  (await runOk(skopeo, ["inspect", "--raw", "--tls-verify=false", reference])).stdout;

describe.skipIf(findPeer("skopeo") === undefined)("skopeo", () => {
  it("copies images between layouts and the kit's registry, digest for digest", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry();
    const image = await buildImage({ layers: [randomTree(createRng(3)), [file("b", "2")]] });
    await writeOciLayout(join(dir.path, "in"), image, "v1");
    const there = `docker://${registry.host}/team/app:v1`;
    await runOk(skopeo, ["copy", ...PLAIN, `oci:${dir.path}/in:v1`, there]);
    expect((await inspectRaw(there)).equals(image.bytes)).toBe(true);
    await runOk(skopeo, ["copy", ...PLAIN, there, `oci:${dir.path}/out:v1`]);
    expect((await inspectRaw(`oci:${dir.path}/out:v1`)).equals(image.bytes)).toBe(true);
    expect(registry.requests.some(({ method }) => method === "PATCH")).toBe(true);
  });

  it.each<[Flavour, Compression]>([
    ["oci", "none"],
    ["oci", "zstd"],
    ["docker", "gzip"],
  ])("takes %s images with %s layers as they are", async (flavour, compression) => {
    await using registry = await startRegistry();
    const image = await buildImage({ layers: [[file("a", "x".repeat(1000))]], flavour, compression });
    await pushImage(registry.host, "a", "v1", image);
    await runOk(skopeo, [
      "copy",
      "--preserve-digests",
      ...PLAIN,
      `docker://${registry.host}/a:v1`,
      `docker://${registry.host}/b:v1`,
    ]);
    expect((await inspectRaw(`docker://${registry.host}/b:v1`)).equals(image.bytes)).toBe(true);
  });

  it("copies, lists and deletes an index with all its images", async () => {
    await using registry = await startRegistry();
    const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
    const images = await Promise.all(
      platforms.map((platform) => buildImage({ layers: [[file(platform.architecture)]], platform })),
    );
    const index = buildIndex(images);
    await pushImage(registry.host, "multi", "v1", index);
    const [from, to] = ["multi", "copy"].map((name) => `docker://${registry.host}/${name}:v1`) as [string, string];
    await runOk(skopeo, ["copy", "--all", ...PLAIN, from, to]);
    expect((await inspectRaw(to)).equals(index.bytes)).toBe(true);
    const tags = await runOk(skopeo, ["list-tags", "--tls-verify=false", `docker://${registry.host}/copy`]);
    expect(JSON.parse(tags.stdout.toString())).toMatchObject({ Tags: ["v1"] });
    await runOk(skopeo, ["delete", "--tls-verify=false", to]);
    expect((await run(skopeo, ["inspect", "--raw", "--tls-verify=false", to])).code).not.toBe(0);
  });

  it("gets through Basic and token authentication, and no further without", async () => {
    const users = { alice: { password: "pw", access: [{ name: "*", actions: ["pull", "push"] }] } };
    await using server = await startTokenServer({ users });
    const image = await buildImage({ layers: [[file("a")]] });
    for (const auth of [
      { kind: "basic", users: { alice: "pw" } },
      { kind: "token", authority: server },
    ] as const) {
      await using dir = await tempDir();
      await using registry = await startRegistry({ auth });
      await writeOciLayout(dir.path, image, "v1");
      const there = `docker://${registry.host}/a:v1`;
      await runOk(skopeo, ["copy", ...PLAIN, "--dest-creds", "alice:pw", `oci:${dir.path}:v1`, there]);
      const inspect = ["inspect", "--raw", "--tls-verify=false"];
      const { stdout } = await runOk(skopeo, [...inspect, "--creds", "alice:pw", there]);
      expect(stdout.equals(image.bytes)).toBe(true);
      expect((await run(skopeo, [...inspect, "--no-creds", there])).code).not.toBe(0);
    }
  });

  it("follows blobs to their second origin, over ranges it never sees credentials for", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry({
      quirks: { blobRedirect: {} },
      auth: { kind: "basic", users: { a: "b" } },
    });
    const image = await buildImage({ layers: [[file("a", "1")]] });
    const credentials = { username: "a", password: "b" };
    await pushImage(registry.host, "a", "v1", image, { credentials });
    await runOk(skopeo, [
      "copy",
      ...PLAIN,
      "--src-creds",
      "a:b",
      `docker://${registry.host}/a:v1`,
      `oci:${dir.path}/o:v1`,
    ]);
    const seen = registry.blobOrigin?.requests ?? [];
    expect(seen.map(({ status }) => status)).toEqual([200, 200]);
    expect(seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it("trusts the kit's certificates", async () => {
    await using dir = await tempDir();
    const issuer = makeCertificate({ commonName: "kit root" });
    await using registry = await startRegistry({ tls: makeCertificate({ issuer }) });
    await writeFile(join(dir.path, "ca.crt"), issuer.cert);
    const image = await buildImage({ layers: [[file("a")]] });
    await writeOciLayout(join(dir.path, "in"), image, "v1");
    const there = `docker://${registry.host}/a:v1`;
    await runOk(skopeo, ["copy", "--dest-cert-dir", dir.path, `oci:${dir.path}/in:v1`, there]);
    expect((await run(skopeo, ["inspect", there])).code).not.toBe(0);
  });
});

describe.skipIf(findPeer("umoci") === undefined || process.getuid?.() !== 0)("umoci", () => {
  it("unpacks layers with whiteouts to the tree that the model predicts", async () => {
    await using dir = await tempDir();
    const layers = [
      [directory("d"), file("d/a", "1"), file("d/b", "2"), directory("e"), file("e/x", "3"), file("f", "4")],
      [directory("d"), whiteout("d/a"), file("d/c", "5"), hardlink("g", "d/c")],
      [directory("e"), opaque("e"), file("e/y", "6"), whiteout("f")],
    ];
    const image = await buildImage({ layers });
    await writeOciLayout(join(dir.path, "layout"), image, "v1");
    await runOk(findPeer("umoci") ?? "umoci", ["unpack", "--image", `${dir.path}/layout:v1`, `${dir.path}/bundle`]);
    const tree = await readTree(join(dir.path, "bundle", "rootfs"));
    // umoci sets the times of directories when their member comes; later members of theirs change them again.
    const facts = { root: false, directoryTimes: false };
    expect(diffTrees(expectedTree(layers), tree, facts)).toEqual([]);
  });

  it.each([1, 2, 3, 4, 5, 6])(
    "unpacks random stacks of layers to the tree that the model predicts (seed %i)",
    async (seed) => {
      await using dir = await tempDir();
      const layers = randomLayers(createRng(seed), { size: 80 });
      const image = await buildImage({ layers });
      await writeOciLayout(join(dir.path, "layout"), image, "v1");
      await runOk(findPeer("umoci") ?? "umoci", ["unpack", "--image", `${dir.path}/layout:v1`, `${dir.path}/bundle`]);
      const tree = await readTree(join(dir.path, "bundle", "rootfs"));
      expect(diffTrees(expectedTree(layers), tree, { root: false, directoryTimes: false })).toEqual([]);
    },
  );
});

describe.skipIf(findPeer("buildah") === undefined)("buildah", () => {
  it("pushes an image to the kit's registry and finds it there", async () => {
    await using dir = await tempDir();
    await using registry = await startRegistry();
    const image = await buildImage({ layers: [[directory("bin"), file("bin/a", "1", { mode: 0o755 })]] });
    await pushImage(registry.host, "base", "v1", image);
    const storage = ["--storage-driver", "vfs", "--root", join(dir.path, "root"), "--runroot", join(dir.path, "run")];
    const buildah = (...args: string[]) => runOk(findPeer("buildah") ?? "buildah", [...storage, ...args]);
    const { stdout } = await buildah("from", "--tls-verify=false", `${registry.host}/base:v1`);
    await buildah("config", "--label", "kit=1", stdout.toString().trim());
    await buildah("commit", "--tls-verify=false", stdout.toString().trim(), `docker://${registry.host}/built:v2`);
    const { statusCode } = await request(`${registry.url}/v2/built/manifests/v2`);
    expect(statusCode).toBe(200);
  });
});

describe.skipIf(findPeer("docker-registry") === undefined)("docker-registry", () => {
  it("takes the kit's images, keeps them over a restart, and says on what it listens", async () => {
    await using dir = await tempDir();
    const image = await buildImage({ layers: [[file("a", "1")]] });
    const first = await startDockerRegistry({ dir: join(dir.path, "data") });
    await pushImage(first.host, "a", "v1", image);
    await first.close();
    await expect(request(`${first.url}/v2/`)).rejects.toThrow("ECONNREFUSED");
    await using second = await startDockerRegistry({ dir: join(dir.path, "data"), readOnly: true });
    const { body, headers } = await request(`${second.url}/v2/a/manifests/v1`, {
      headers: { accept: image.descriptor.mediaType },
    });
    expect(headers["docker-content-digest"]).toBe(image.digest);
    expect(Buffer.from(await body.arrayBuffer()).equals(image.bytes)).toBe(true);
    await expect(pushImage(second.host, "b", "v1", image)).rejects.toThrow("405");
    expect(second.log()).toContain(`listening on ${second.host}`);
  });

  it("is guarded by htpasswd, and serves TLS", async () => {
    const tls = makeCertificate();
    await using registry = await startDockerRegistry({ auth: { kind: "htpasswd", users: { alice: "pw" } } });
    const image = await buildImage({ layers: [[file("a")]] });
    await expect(pushImage(registry.host, "a", "v1", image)).rejects.toThrow("401");
    await pushImage(registry.host, "a", "v1", image, { credentials: { username: "alice", password: "pw" } });
    await using secure = await startDockerRegistry({ tls });
    expect(secure.url).toBe(`https://${secure.host}`);
  });

  it("caches for the kit's registry", async () => {
    await using upstream = await startRegistry();
    const image = await buildImage({ layers: [[file("a")]] });
    await pushImage(upstream.host, "a", "v1", image);
    await using cache = await startDockerRegistry({ proxyOf: upstream.url });
    const { statusCode, body } = await request(`${cache.url}/v2/a/manifests/v1`, {
      headers: { accept: image.descriptor.mediaType },
    });
    expect([statusCode, Buffer.from(await body.arrayBuffer()).equals(image.bytes)]).toEqual([200, true]);
  });
});

describe("run", () => {
  it("gives input, environment and exit code, and shows what a failed program said", async () => {
    const script = 'cat; printf "$KIT" >&2; exit 3';
    const result = await run("sh", ["-c", script], { input: "in", env: { KIT: "env" } });
    expect([result.stdout.toString(), result.stderr, result.code]).toEqual(["in", "env", 3]);
    await expect(runOk("sh", ["-c", "echo why >&2; false"])).rejects.toThrow(/ended with 1: why/);
    await expect(run("/nonexistent", [])).rejects.toThrow("ENOENT");
    await expect(run("sleep", ["60"], { timeoutMs: 50 })).rejects.toThrow("more than 50 ms");
  });

  it("waits for what a program says before it is killed", async () => {
    await using program = start("sh", ["-c", "echo ready >&2; exec sleep 60"]);
    await program.output(/^ready$/m);
    program.kill("SIGKILL");
    expect((await program.result).code).toBe(137);
    await expect(program.output(/never/)).rejects.toThrow("ended without saying /never/");
  });

  it("starts varve from this checkout, without this machine's settings", async () => {
    const env = varveEnvironment({ root: "/r", env: { HTTPS_PROXY: "http://x" } });
    expect(env).toMatchObject({ VARVE_ROOT: "/r", HTTPS_PROXY: "http://x", DOCKER_CONFIG: undefined });
    const { code, stdout } = await runVarve(["version"]);
    expect([code, stdout.toString()]).toEqual([0, expect.stringContaining("0.1.0")]);
  });
});
