/** Pushing, as the kit's registry and Debian's docker-registry take it: both must come to the same. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import { parseManifest } from "../../oci/manifest.ts";
import { buildImage, buildIndex } from "../../../test/kit/images/build-image.ts";
import { at, collect, describeBlob, eventLog, noise, opening, testClient } from "../../../test/kit/http/test-client.ts";
import { findPeer, peersRequired } from "../../../test/kit/peers.ts";
import { startDockerRegistry } from "../../../test/kit/peers/docker-registry.ts";
import { startRegistry } from "../../../test/kit/registry/registry.ts";
import { startTokenServer } from "../../../test/kit/registry/token-server.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { makeCertificate } from "../../../test/kit/tls/certificate.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import type { RegistryOptions } from "../options.ts";

const BLOB = noise(300_000);
const DESCRIPTOR = describeBlob(BLOB);

const users = { ada: { password: "secret-of-ada", access: [{ name: "*", actions: ["pull", "push"] }] } };
const credentials = { username: "ada", password: "secret-of-ada" };

interface Place extends AsyncDisposable {
  readonly host: string;
  readonly options: RegistryOptions;
}

async function kit(): Promise<Place> {
  const registry = await startRegistry();
  return { host: registry.host, options: {}, [Symbol.asyncDispose]: () => registry.close() };
}

async function kitWithTokens(): Promise<Place> {
  const authority = await startTokenServer({ users });
  const registry = await startRegistry({ auth: { kind: "token", authority } });
  const close = async (): Promise<void> => {
    await registry.close();
    await authority.close();
  };
  return { host: registry.host, options: { credentials }, [Symbol.asyncDispose]: close };
}

async function kitWithTls(): Promise<Place> {
  const dir = await tempDir();
  const certificate = makeCertificate();
  const caFile = join(dir.path, "ca.crt");
  await writeFile(caFile, certificate.cert);
  const registry = await startRegistry({ tls: certificate });
  const close = async (): Promise<void> => {
    await registry.close();
    await dir[Symbol.asyncDispose]();
  };
  return { host: registry.host, options: { plainHttp: false, caFile }, [Symbol.asyncDispose]: close };
}

async function debian(): Promise<Place> {
  const registry = await startDockerRegistry();
  return { host: registry.host, options: {}, [Symbol.asyncDispose]: () => registry.close() };
}

async function debianWithTokens(): Promise<Place> {
  const server = await startTokenServer({ users, jwt: true });
  const registry = await startDockerRegistry({ auth: { kind: "token", server } });
  const close = async (): Promise<void> => {
    await registry.close();
    await server.close();
  };
  return { host: registry.host, options: { credentials }, [Symbol.asyncDispose]: close };
}

const hasDebian = peersRequired || findPeer("docker-registry") !== undefined;
const places = [
  ["the kit's registry", kit, true],
  ["the kit's registry with tokens", kitWithTokens, true],
  ["the kit's registry over TLS", kitWithTls, true],
  ["docker-registry", debian, hasDebian],
  ["docker-registry with tokens", debianWithTokens, hasDebian],
] as const;

describe.each(places.filter(([, , isHere]) => isHere))("%s", (_, start) => {
  let place: Place;
  beforeAll(async () => {
    place = await start();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  const client = () => testClient(place.options);

  it("takes a blob in one request, and knows it then", async () => {
    await using registry = client();
    const reference = at(place.host, "one/blob");
    const sink = registry.uploads(reference);
    const { events, onEvent } = eventLog();
    expect(await sink.has(DESCRIPTOR)).toBe(false);
    expect(await sink.putBlob(DESCRIPTOR, opening(BLOB), { onEvent })).toBe("sent");
    expect(events.reduce((sum, event) => sum + (event.type === "sent" ? event.bytes : 0), 0)).toBe(BLOB.length);
    expect(await sink.has(DESCRIPTOR)).toBe(true);
    expect(await sink.putBlob(DESCRIPTOR, opening(BLOB))).toBe("present");
    expect((await collect(registry.blobs(reference).readBlob(DESCRIPTOR))).equals(BLOB)).toBe(true);
  });

  it.each([
    [1, 5],
    [30_000, 300_000],
    [299_999, 300_000],
    [300_000, 300_000],
    [300_001, 300_000],
  ])("takes a blob in chunks of %i", async (chunkSize, size) => {
    await using registry = client();
    const bytes = noise(size, `chunks of ${chunkSize}`);
    const blob = describeBlob(bytes);
    const reference = at(place.host, "chunked/blob");
    const sink = registry.uploads(reference);
    expect(await sink.putBlob(blob, opening(bytes), { chunkSize })).toBe("sent");
    expect((await collect(registry.blobs(reference).readBlob(blob))).equals(bytes)).toBe(true);
  });

  it("takes a blob without bytes", async () => {
    await using registry = client();
    const empty = describeBlob(Buffer.alloc(0));
    const sink = registry.uploads(at(place.host, "empty/blob"));
    expect(await sink.putBlob(empty, opening(Buffer.alloc(0)))).toBe("sent");
    expect(await sink.has(empty)).toBe(true);
  });

  it("never gets wrong bytes published", async () => {
    await using registry = client();
    const sink = registry.uploads(at(place.host, "wrong/blob"));
    const wrong = Buffer.from(BLOB);
    wrong[150_000]! ^= 1;
    for (const [bytes, code] of [
      [wrong, "DIGEST_MISMATCH"],
      [BLOB.subarray(0, 200_000), "SIZE_MISMATCH"],
      [Buffer.concat([BLOB, BLOB]), "SIZE_MISMATCH"],
    ] as const) {
      for (const chunkSize of [undefined, 100_000]) {
        await expect(sink.putBlob(DESCRIPTOR, opening(bytes), { chunkSize })).rejects.toMatchObject({ code });
      }
    }
    expect(await sink.has(DESCRIPTOR)).toBe(false);
    expect(await sink.putBlob(DESCRIPTOR, opening(BLOB))).toBe("sent");
  });

  it("mounts a blob from another repository, or has it sent", async () => {
    await using registry = client();
    const bytes = noise(1000, "mount");
    const blob = describeBlob(bytes);
    await registry.uploads(at(place.host, "mount/from")).putBlob(blob, opening(bytes));
    const sink = registry.uploads(at(place.host, "mount/to"));
    expect(await sink.mount(blob, "mount/nowhere")).toBe(false);
    expect(await sink.has(blob)).toBe(false);
    expect(await sink.mount(blob, "mount/from")).toBe(true);
    expect(await sink.has(blob)).toBe(true);
    const other = registry.uploads(at(place.host, "mount/other"));
    expect(await other.mount(blob, "mount/nowhere")).toBe(false);
    expect(await other.putBlob(blob, opening(bytes))).toBe("sent");
    expect(await other.has(blob)).toBe(true);
  });

  it("takes images and indexes by tag and by digest, children first", async () => {
    await using registry = client();
    const image = await buildImage({ layers: [[file("a", "1")]] });
    const index = buildIndex([image]);
    const sink = registry.uploads(at(place.host, "image/app"));
    const document = parseManifest(image.bytes);
    await expect(sink.putManifest(document)).rejects.toMatchObject({
      code: "BLOB_UNKNOWN",
    });
    expect(await sink.resolve("v1")).toBeUndefined();
    for (const blob of image.blobs) await sink.putBlob(describeBlob(blob.bytes), opening(blob.bytes));
    expect((await sink.putManifest(document)).location?.pathname).toContain(image.digest);
    expect(await sink.putManifest(document, "v1")).toMatchObject({ digest: image.digest });
    expect((await sink.resolve("v1"))?.digest).toBe(image.digest);
    await sink.putManifest(parseManifest(index.bytes), "multi");
    expect((await registry.resolve(at(place.host, "image/app:multi"))).digest).toBe(index.digest);
    expect(await sink.resolve(digestOf("absent"))).toBeUndefined();
  });

  it("lists referrers, by itself or under a tag", async () => {
    await using registry = client();
    const image = await buildImage({ layers: [[file("a", "1")]] });
    const { mediaType, digest, size } = image.descriptor;
    const sink = registry.uploads(at(place.host, "referrers/app"));
    for (const blob of image.blobs) await sink.putBlob(describeBlob(blob.bytes), opening(blob.bytes));
    await sink.putManifest(parseManifest(image.bytes), "v1");
    const signed = await Promise.all(
      ["one", "two", "three"].map(async (name) => {
        const referrer = await buildImage({
          layers: [],
          subject: { mediaType, digest, size },
          artifactType: "test/signature",
          annotations: { name },
        });
        for (const blob of referrer.blobs) await sink.putBlob(describeBlob(blob.bytes), opening(blob.bytes));
        return referrer;
      }),
    );
    const results = await Promise.all(signed.map(({ bytes }) => sink.putManifest(parseManifest(bytes))));
    for (const { subject } of results) expect(subject).toBe(digest);
    await sink.putManifest(parseManifest(signed[0]!.bytes));
    const found = await registry.referrers(at(place.host, "referrers/app"), digest, { artifactType: "test/signature" });
    expect(new Set(found.map((entry) => entry.digest))).toEqual(new Set(signed.map((entry) => entry.digest)));
    expect(found).toHaveLength(3);
    expect(found[0]?.annotations?.["name"]).toMatch(/one|two|three/);
  });
});
