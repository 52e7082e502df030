/** What a client is told of whom it may ask, and by whom it is asked itself. */
import { describe, expect, it } from "vitest";
import { startFaultProxy } from "../../test/kit/faults/fault-proxy.ts";
import { at, collect, describeBlob, noise, testClient } from "../../test/kit/http/test-client.ts";
import { buildImage } from "../../test/kit/images/build-image.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { startRegistry } from "../../test/kit/registry/registry.ts";
import { file } from "../../test/kit/trees/tree-node.ts";

const image = await buildImage({ layers: [[file("a", "1")]] });
const [layer] = image.layers;
const blob = layer!.descriptor;

describe("addresses that may not be connected to", () => {
  it("are not asked, be they named as numbers or by a name, for documents or for blobs", async () => {
    await using registry = await startRegistry();
    await pushImage(registry.host, "team/app", "v1", image);
    registry.clearRequests();
    await using client = testClient({ allowAddress: () => false });
    for (const host of [registry.host, `localhost:${registry.port}`]) {
      await expect(client.resolve(at(host))).rejects.toMatchObject({ code: "REGISTRY_BLOCKED" });
      const reading = collect(client.blobs(at(host)).readBlob(blob));
      await expect(reading).rejects.toMatchObject({ code: "REGISTRY_BLOCKED" });
    }
    expect(registry.requests).toEqual([]);
  });

  it("are not asked when a registry that may be asked sends there", async () => {
    await using registry = await startRegistry();
    await pushImage(registry.host, "team/app", "v1", image);
    registry.clearRequests();
    await using proxy = await startFaultProxy({
      target: registry.host,
      rules: [{ path: /blobs/, fault: { kind: "redirect", to: `http://127.0.0.2:${registry.port}` } }],
    });
    await using client = testClient({ allowAddress: (address) => address === "127.0.0.1" });
    expect((await client.resolve(at(proxy.host))).digest).toBe(image.digest);
    const reading = collect(client.blobs(at(proxy.host)).readBlob(blob));
    await expect(reading).rejects.toMatchObject({ code: "REGISTRY_BLOCKED" });
    expect(registry.requests.filter(({ path }) => path.includes("blobs"))).toEqual([]);
  });

  it("are asked when they may be", async () => {
    await using registry = await startRegistry();
    await pushImage(registry.host, "team/app", "v1", image);
    await using client = testClient({ allowAddress: (address) => address === "127.0.0.1" });
    const reference = at(`localhost:${registry.port}`);
    expect((await client.resolve(reference)).digest).toBe(image.digest);
    expect((await collect(client.blobs(reference).readBlob(blob))).equals(layer!.bytes)).toBe(true);
  });
});

describe("a client that asks for others", () => {
  it("says so with every request, and has its accounts from whom it is told", async () => {
    await using registry = await startRegistry({ auth: { kind: "basic", users: { alice: "pw" } } });
    await pushImage(registry.host, "team/app", "v1", image, { credentials: { username: "alice", password: "pw" } });
    registry.clearRequests();
    const account = { kind: "password", username: "alice", password: "pw" } as const;
    await using client = testClient({ via: "1.1 one", accounts: { find: async () => account } });
    await collect(client.blobs(at(registry.host)).readBlob(blob));
    await client.resolve(at(registry.host));
    expect(new Set(registry.requests.map(({ headers }) => headers.via))).toEqual(new Set(["1.1 one"]));
    await using stranger = testClient({ accounts: { find: async () => undefined } });
    await expect(stranger.resolve(at(registry.host))).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });
});

describe("the size of a blob", () => {
  it.each([{}, { blobHead: 405 }, { blobHead: 403 }, { blobHead: 405, ranges: "ignore" as const }])(
    "is told by a registry with %o",
    async (quirks) => {
      await using registry = await startRegistry({ quirks });
      await pushImage(registry.host, "team/app", "v1", image);
      await using client = testClient();
      expect(await client.statBlob(at(registry.host), blob.digest)).toBe(blob.size);
    },
  );

  it("is of none that the repository lacks", async () => {
    await using registry = await startRegistry();
    await pushImage(registry.host, "team/app", "v1", image);
    await using client = testClient();
    expect(await client.statBlob(at(registry.host), describeBlob(noise(5)).digest)).toBeUndefined();
    expect(await client.statBlob(at(registry.host, "other/app:v1"), blob.digest)).toBeUndefined();
  });
});
