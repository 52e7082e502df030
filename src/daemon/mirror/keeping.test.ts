/** What a mirror has when its upstream is away, how it is shared with pulls, and what goes when there is too much of it. */
import { describe, expect, it, vi } from "vitest";
import { startMirror } from "../../../test/kit/daemon/start-mirror.ts";
import { startFaultProxy } from "../../../test/kit/faults/fault-proxy.ts";
import { noise, testClient } from "../../../test/kit/http/test-client.ts";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { inProcess } from "../../layer/in-process.ts";
import { openStore } from "../../store/store.ts";
import { pull } from "../../transfer/pull.ts";

const MIB = 1 << 20;
const image = await buildImage({ layers: [noise(MIB, "1"), noise(MIB, "2")], compression: "none" });
const newer = await buildImage({ layers: [noise(MIB, "3")], compression: "none" });
const artifact = await buildImage({ layers: [], subject: image.descriptor, artifactType: "application/x.test" });

async function withImage(): Promise<KitRegistry> {
  const registry = await startRegistry();
  await pushImage(registry.host, "team/app", "v1", image);
  return registry;
}

describe("an upstream that is away", () => {
  it("does not take away what is here: the tag is as it was, and says so", async () => {
    await using registry = await withImage();
    await pushImage(registry.host, "team/app", "sig", artifact);
    await using proxy = await startFaultProxy({ target: registry.host });
    const mirror = await startMirror({ upstreams: [proxy.host] });
    const { call } = mirror;
    const at = `/v2/${proxy.host}/team/app`;
    const fresh = await call("GET", `${at}/manifests/v1`);
    expect(fresh.headers["warning"]).toBeUndefined();
    const tags = (await call("GET", `${at}/tags/list`)).json();
    expect(tags).toMatchObject({ tags: ["sig", "v1"] });
    const referrers = (await call("GET", `${at}/referrers/${image.digest}`)).json();
    expect(referrers).toMatchObject({ manifests: [{ digest: artifact.digest }] });
    await proxy.refuse();
    const stale = await call("GET", `${at}/manifests/v1`);
    expect([stale.status, stale.bytes.equals(image.bytes)]).toEqual([200, true]);
    expect(stale.headers["warning"]).toMatch(/^299 .*cannot be reached/);
    expect((await call("HEAD", `${at}/manifests/v1`)).status).toBe(200);
    expect((await call("GET", `${at}/manifests/${image.digest}`)).headers["warning"]).toBeUndefined();
    expect((await call("GET", `${at}/tags/list`)).json()).toMatchObject({ tags: ["v1"] });
    expect((await call("GET", `${at}/referrers/${image.digest}`)).json()).toEqual(referrers);
    expect((await call("GET", `${at}/manifests/none`)).status).toBe(502);
    expect(mirror.cache).toContain("manifest stale");
    mirror.change({ serveStale: false });
    expect((await call("GET", `${at}/manifests/v1`)).status).toBe(502);
    mirror.change({ serveStale: true });
    await proxy.accept();
    await pushImage(registry.host, "team/app", "v1", newer);
    const updated = await call("GET", `${at}/manifests/v1`);
    expect([updated.bytes.equals(newer.bytes), updated.headers["warning"]]).toEqual([true, undefined]);
  });

  it.each([500, 503, 429])(
    "and answers %i is as if it did not answer; one that says no is believed",
    async (status) => {
      await using registry = await withImage();
      await using proxy = await startFaultProxy({ target: registry.host });
      const { call } = await startMirror({ upstreams: [proxy.host] });
      const path = `/v2/${proxy.host}/team/app/manifests/v1`;
      await call("GET", path);
      proxy.setRules([{ fault: { kind: "status", status } }]);
      expect((await call("GET", path)).status).toBe(200);
      proxy.setRules([{ fault: { kind: "status", status: 404 } }]);
      expect((await call("GET", path)).status).toBe(404);
      proxy.setRules([{ fault: { kind: "status", status } }]);
      expect((await call("GET", path)).status).not.toBe(200);
    },
  );
});

describe("a store that takes nothing for a while", () => {
  it("keeps no client from what upstream has, or from what is here", async () => {
    await using registry = await withImage();
    const mirror = await startMirror({ upstreams: [registry.host] });
    const { repositories } = mirror.store;
    const at = `/v2/${registry.host}/team/app/manifests`;
    await mirror.call("GET", `${at}/v1`);
    await pushImage(registry.host, "team/app", "v2", newer);
    const full = (): Promise<never> => Promise.reject(new VarveError("NO_SPACE", "the disk is full"));
    Object.assign(repositories, { putTag: full, putManifest: full, addBlob: full, deleteTag: full });
    expect((await mirror.call("HEAD", `${at}/v1`)).status).toBe(200);
    expect((await mirror.call("GET", `${at}/v1`)).bytes.equals(image.bytes)).toBe(true);
    expect((await mirror.call("GET", `${at}/v2`)).bytes.equals(newer.bytes)).toBe(true);
    const [layer] = newer.layers;
    const blob = await mirror.call("GET", `/v2/${registry.host}/team/app/blobs/${layer!.descriptor.digest}`);
    expect(blob.bytes.equals(layer!.bytes)).toBe(true);
    expect((await mirror.call("GET", `${at}/none`)).status).toBe(404);
  });

  it("is written to for a tag only when that says something new", async () => {
    let now = Date.now();
    await using registry = await withImage();
    const mirror = await startMirror({ upstreams: [registry.host], now: () => now });
    const { repositories } = mirror.store;
    const put = vi.spyOn(repositories, "putTag");
    const path = `/v2/${registry.host}/team/app/manifests/v1`;
    for (const method of ["GET", "HEAD", "GET", "HEAD"] as const) await mirror.call(method, path);
    expect(put).toHaveBeenCalledTimes(1);
    now += 90_000;
    await mirror.call("HEAD", path);
    expect(put).toHaveBeenCalledTimes(2);
  });
});

describe("the store", () => {
  it("gives what a pull has brought, and pulls have what the mirror brought", async () => {
    await using registry = await withImage();
    await pushImage(registry.host, "team/new", "v1", newer);
    const mirror = await startMirror({ upstreams: [registry.host] });
    // As the command line does it, in a process of its own.
    await using store = await openStore(mirror.store.root, { sync: false });
    await using client = testClient();
    const context = {
      store,
      registry: client,
      threads: inProcess,
      signal: new AbortController().signal,
      onProgress: () => {},
    };
    await pull(context, `${registry.host}/team/app:v1`, { unpack: false });
    registry.clearRequests();
    for (const { digest } of image.layers.map(({ descriptor }) => descriptor)) {
      expect((await mirror.call("GET", `/v2/${registry.host}/team/app/blobs/${digest}`)).status).toBe(200);
    }
    await mirror.call("GET", `/v2/${registry.host}/team/app/manifests/v1`);
    expect(registry.requests.map(({ method }) => method)).toEqual(["HEAD", "HEAD", "HEAD"]);
    for (const { descriptor } of newer.layers) {
      await mirror.call("GET", `/v2/${registry.host}/team/new/blobs/${descriptor.digest}`);
    }
    await mirror.mirror.settled();
    const { bytes } = await pull(context, `${registry.host}/team/new:v1`, { unpack: false });
    expect(bytes.network).toBeLessThan(MIB);
  });

  it("makes an uncompressed layer of what it has of it in another form, once its registry says that it has it", async () => {
    await using registry = await startRegistry();
    const tree = [file("a", noise(MIB, "tree").toString("latin1"))];
    const zipped = await buildImage({ layers: [tree] });
    const plain = await buildImage({ layers: [tree], compression: "none" });
    await pushImage(registry.host, "team/zipped", "v1", zipped);
    await pushImage(registry.host, "team/plain", "v1", plain);
    const mirror = await startMirror({ upstreams: [registry.host] });
    await using client = testClient();
    const { store } = mirror;
    const context = {
      store,
      registry: client,
      threads: inProcess,
      signal: new AbortController().signal,
      onProgress: () => {},
    };
    await pull(context, `${registry.host}/team/zipped:v1`, {});
    await mirror.call("GET", `/v2/${registry.host}/team/plain/manifests/v1`);
    registry.clearRequests();
    const [layer] = plain.layers;
    const got = await mirror.call("GET", `/v2/${registry.host}/team/plain/blobs/${layer!.descriptor.digest}`);
    expect(got.bytes.equals(layer!.bytes)).toBe(true);
    expect(registry.requests.map(({ method }) => method)).toEqual(["HEAD"]);
  });

  it("keeps what a mirror has, whatever is collected, until it is let go of", async () => {
    let now = Date.now();
    await using registry = await withImage();
    await pushImage(registry.host, "team/app", "v2", newer);
    const mirror = await startMirror({ upstreams: [registry.host], mirror: { keepBytes: 2.5 * MIB }, now: () => now });
    const { store, call } = mirror;
    const get = async (tag: string, what: typeof image): Promise<void> => {
      await call("GET", `/v2/${registry.host}/team/app/manifests/${tag}`);
      for (const { descriptor } of what.layers)
        await call("GET", `/v2/${registry.host}/team/app/blobs/${descriptor.digest}`);
      await mirror.mirror.settled();
    };
    await get("v1", image);
    expect((await store.collectGarbage({ partialsOlderThanMs: 0 })).blobs.count).toBe(0);
    expect((await store.repositories.usage("mirror")).bytes).toBeGreaterThan(2 * MIB);
    await get("v2", newer);
    // Nothing goes that somebody has just asked for.
    for (const { descriptor } of [...image.layers, ...newer.layers]) {
      expect(await store.content.stat(descriptor.digest)).toBeDefined();
    }
    now += 120_000;
    const last = newer.layers[0]!.descriptor.digest;
    await get("v2", newer);
    mirror.change({ keepBytes: 1.5 * MIB });
    await pushImage(registry.host, "team/app", "v3", artifact);
    await call("GET", `/v2/${registry.host}/team/app/blobs/${artifact.config.digest}`);
    await mirror.mirror.settled();
    expect((await store.repositories.usage("mirror")).bytes).toBeLessThanOrEqual(1.5 * MIB);
    const [gone] = image.layers;
    expect(await store.content.stat(gone!.descriptor.digest)).toBeUndefined();
    expect(await store.content.stat(last)).toBeDefined();
    expect(
      (await call("GET", `/v2/${registry.host}/team/app/blobs/${gone!.descriptor.digest}`)).bytes.equals(gone!.bytes),
    ).toBe(true);
  });
});
