import { describe, expect, it } from "vitest";
import { buildImage } from "../../test/kit/images/build-image.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { startDockerRegistry } from "../../test/kit/peers/docker-registry.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { startRegistry } from "../../test/kit/registry/registry.ts";
import { startFaultProxy } from "../../test/kit/faults/fault-proxy.ts";
import { digestOf } from "../oci/digest.ts";
import { parseReference } from "../oci/reference.ts";
import type { TransportEvent } from "./blob-source.ts";
import { fakeClock } from "../../test/kit/http/fake-clock.ts";
import { RegistryClient } from "./client.ts";
import type { RegistryOptions } from "./options.ts";

const ENV = { HOME: "/nonexistent", PATH: process.env["PATH"] };

function client(options: RegistryOptions = {}): RegistryClient {
  return new RegistryClient({ registriesConf: false, env: ENV, ...options });
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const LAYER = Buffer.alloc(3_000_000, "varve is a layer of sediment ");

async function image() {
  return await buildImage({ layers: [LAYER], compression: "none" });
}

describe("a registry on loopback", () => {
  it("is read without any flag: tag, manifest, config and layers", async () => {
    await using registry = await startRegistry();
    const built = await image();
    await pushImage(registry.host, "team/app", "v1", built);
    await using registryClient = client();
    const reference = parseReference(`${registry.host}/team/app:v1`);
    const resolved = await registryClient.resolve(reference);
    expect(resolved).toEqual({
      digest: built.digest,
      mediaType: built.descriptor.mediaType,
      size: built.bytes.length,
    });
    const manifest = await registryClient.fetchManifest(reference);
    if (manifest.kind !== "manifest") throw new Error("not a manifest");
    expect(Buffer.from(manifest.bytes).equals(built.bytes)).toBe(true);
    expect(digestOf(await registryClient.fetchBlobBytes(reference, manifest.config))).toBe(built.config.digest);
    const [layer] = manifest.layers;
    if (layer === undefined) throw new Error("no layer");
    const events: TransportEvent[] = [];
    const blobs = registryClient.blobs(reference);
    const bytes = await collect(blobs.readBlob(layer, { onEvent: (event) => events.push(event) }));
    expect(digestOf(bytes)).toBe(layer.digest);
    expect(events.filter(({ type }) => type === "request")).toHaveLength(1);
    const received = events.reduce((sum, event) => sum + (event.type === "received" ? event.bytes : 0), 0);
    expect(received).toBe(layer.size);
    expect(registryClient.supportsRanges(reference)).toBeUndefined();
    const part = await collect(blobs.readBlob(layer, { range: { start: 2_000_000, end: 2_000_100 } }));
    expect(part.equals(bytes.subarray(2_000_000, 2_000_100))).toBe(true);
    expect(registryClient.supportsRanges(reference)).toBe(true);
    expect(await registryClient.listTags(reference)).toEqual(["v1"]);
  });
});

describe.skipIf(findPeer("docker-registry") === undefined)("Debian's docker-registry", () => {
  it("is read with Basic credentials, and a wrong password is UNAUTHORIZED with a hint", async () => {
    const credentials = { username: "ada", password: "s3cret-pässword" };
    await using registry = await startDockerRegistry({
      auth: { kind: "htpasswd", users: { ada: credentials.password } },
    });
    const built = await image();
    await pushImage(registry.host, "team/app", "v1", built, { credentials });
    const reference = parseReference(`${registry.host}/team/app:v1`);
    await using right = client({ credentials });
    expect((await right.resolve(reference)).digest).toBe(built.digest);
    expect(await right.checkLogin(registry.host, credentials)).toEqual({ checked: true });
    await using wrong = client({ credentials: { username: "ada", password: "other-secret" } });
    const refused = wrong.resolve(reference);
    await expect(refused).rejects.toMatchObject({ code: "UNAUTHORIZED", hint: expect.stringContaining("varve login") });
    await expect(refused).rejects.not.toThrow(/other-secret/);
    await expect(wrong.checkLogin(registry.host, { username: "ada", password: "no" })).rejects.toMatchObject({
      code: "UNAUTHORIZED",
    });
    await using nobody = client();
    await expect(nobody.resolve(reference)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });
});

describe("credentials that are given once", () => {
  const credentials = { username: "ada", password: "secret-of-ada" };
  const guarded = () => startRegistry({ auth: { kind: "basic", users: { ada: credentials.password } } });
  const digest = digestOf("x");

  it("are those of the first registry that is asked, or of the one that is named, and no other sees them", async () => {
    await using one = await guarded();
    await using two = await guarded();
    const [first, second] = [one, two].map(({ host }) => parseReference(`${host}/app@${digest}`));
    for (const named of [undefined, two.host]) {
      await using asking = client({ credentials });
      if (named !== undefined) asking.reserveCredentials(named);
      const codes = await Promise.all(
        [first!, second!].map((reference) => asking.resolve(reference).catch(({ code }) => code as string)),
      );
      const known = "MANIFEST_UNKNOWN";
      expect(codes).toEqual(named === undefined ? [known, "UNAUTHORIZED"] : ["UNAUTHORIZED", known]);
      const other = named === undefined ? two : one;
      expect(other.requests.length).toBeGreaterThan(0);
      for (const { headers } of other.requests) expect(headers).not.toHaveProperty("authorization");
      one.clearRequests();
      two.clearRequests();
    }
  });
});

describe("a line that breaks all the time", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    it(`gives every blob whole in the end (seed ${seed})`, async () => {
      await using registry = await startRegistry();
      const built = await image();
      await pushImage(registry.host, "team/app", "v1", built);
      await using proxy = await startFaultProxy({
        target: registry.host,
        seed,
        rules: [
          { probability: 0.2, fault: { kind: "status", status: 503 } },
          { probability: 0.1, fault: { kind: "status", status: 429, retryAfter: 1 } },
          { probability: 0.2, fault: { kind: "reset" } },
          { path: /blobs/, nth: { to: 4 }, fault: { kind: "drop", afterBytes: 300_000 } },
          { path: /blobs/, probability: 0.2, fault: { kind: "ignoreRange" } },
          { path: /blobs/, probability: 0.2, fault: { kind: "contentRange", value: "bytes 7-8/*" } },
          { path: /blobs/, probability: 0.2, fault: { kind: "chunked" } },
        ],
      });
      await using registryClient = client({ plainHttp: true, retries: 50, clock: fakeClock() });
      const reference = parseReference(`${proxy.host}/team/app:v1`);
      const manifest = await registryClient.fetchManifest(reference);
      if (manifest.kind !== "manifest") throw new Error("not a manifest");
      const [layer] = manifest.layers;
      if (layer === undefined) throw new Error("no layer");
      const bytes = await collect(registryClient.blobs(reference).readBlob(layer));
      expect(digestOf(bytes)).toBe(layer.digest);
      expect(proxy.strikes.length).toBeGreaterThan(0);
    });
  }
});
