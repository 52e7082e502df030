/** What clients of a mirror get, and what its upstream is asked for. */
import { describe, expect, it } from "vitest";
import { startMirror, type TestMirror } from "../../../test/kit/daemon/start-mirror.ts";
import { buildImage, buildIndex, type KitImage, type KitIndex } from "../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { noise } from "../../../test/kit/http/test-client.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import { digestOf } from "../../oci/digest.ts";

const image = await buildImage({ layers: [[file("a", "1")], noise(300_000)], compression: "none" });
const index = buildIndex([image]);

async function upstreamWith(what: KitImage | KitIndex = image): Promise<KitRegistry> {
  const registry = await startRegistry();
  await pushImage(registry.host, "team/app", "v1", what);
  registry.clearRequests();
  return registry;
}

const paths = (registry: KitRegistry) =>
  registry.requests.map(({ method, path }) => `${method} ${path.replace("/v2/team/app/", "")}`);

/** As a client does it. */
async function pull({ call, mirror }: TestMirror, name: string, tag: string, query = ""): Promise<Buffer> {
  const root = await call("GET", `/v2/${name}/manifests/${tag}${query}`);
  expect(root.status).toBe(200);
  for (const { bytes } of image.blobs) {
    const answer = await call("GET", `/v2/${name}/blobs/${digestOf(bytes)}${query}`);
    expect(answer.bytes.equals(bytes)).toBe(true);
  }
  await mirror.settled();
  return root.bytes;
}

describe("a mirror", () => {
  it("gives by a name that begins with the registry, by ns, and as the registry of names without one", async () => {
    await using registry = await upstreamWith();
    const { host } = registry;
    const mirror = await startMirror({ upstreams: [host], mirror: { defaultUpstream: host } });
    expect((await pull(mirror, `${host}/team/app`, "v1")).equals(image.bytes)).toBe(true);
    registry.clearRequests();
    expect((await pull(mirror, "team/app", "v1", `?ns=${host}`)).equals(image.bytes)).toBe(true);
    expect((await pull(mirror, "team/app", "v1")).equals(image.bytes)).toBe(true);
    expect((await pull(mirror, "team/app", image.digest)).equals(image.bytes)).toBe(true);
    expect(paths(registry)).toEqual(["HEAD manifests/v1", "HEAD manifests/v1"]);
  });

  it("asks for a tag each time, for bytes once, and answers HEAD without fetching", async () => {
    await using registry = await upstreamWith(index);
    const mirror = await startMirror({ upstreams: [registry.host] });
    const name = `${registry.host}/team/app`;
    const head = await mirror.call("HEAD", `/v2/${name}/manifests/v1`);
    expect(head.headers).toMatchObject({
      "docker-content-digest": index.digest,
      "content-type": index.descriptor.mediaType,
      "content-length": String(index.bytes.length),
    });
    expect(paths(registry)).toEqual(["HEAD manifests/v1"]);
    const [layer] = image.layers;
    await mirror.call("GET", `/v2/${name}/manifests/${image.digest}`);
    registry.clearRequests();
    expect((await mirror.call("HEAD", `/v2/${name}/blobs/${layer!.descriptor.digest}`)).status).toBe(200);
    expect(paths(registry)).toEqual([]);
  });

  it("does not ask for a tag again for as many seconds as it was told", async () => {
    let now = Date.now();
    await using registry = await upstreamWith();
    const mirror = await startMirror({ upstreams: [registry.host], mirror: { tagSeconds: 60 }, now: () => now });
    const url = `/v2/${registry.host}/team/app/manifests/v1`;
    for (const method of ["GET", "GET", "HEAD"] as const) expect((await mirror.call(method, url)).status).toBe(200);
    expect(paths(registry)).toEqual(["HEAD manifests/v1", `GET manifests/${image.digest}`]);
    now += 90_000;
    await mirror.call("GET", url);
    expect(paths(registry).slice(2)).toEqual(["HEAD manifests/v1"]);
  });

  it("knows what is not there, at once", async () => {
    await using registry = await upstreamWith();
    const mirror = await startMirror({ upstreams: [registry.host] });
    const name = `${registry.host}/team/app`;
    for (const path of [
      `/v2/${name}/manifests/none`,
      `/v2/${name}/manifests/${digestOf(noise(1))}`,
      `/v2/${name}/blobs/${digestOf(noise(1))}`,
      `/v2/${registry.host}/none/at-all/manifests/v1`,
      `/v2/${registry.host}/none/at-all/tags/list`,
    ]) {
      expect([path, (await mirror.call("GET", path)).status]).toEqual([path, 404]);
    }
    expect(registry.requests).toHaveLength(5);
  });
});
