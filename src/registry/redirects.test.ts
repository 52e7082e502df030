import { describe, expect, it } from "vitest";
import { scriptedServer, type ScriptedServer, type Script } from "../../test/kit/http/scripted-server.ts";
import { at, collect, describeBlob, noise, testClient } from "../../test/kit/http/test-client.ts";
import { startRegistry } from "../../test/kit/registry/registry.ts";
import { makeCertificate } from "../../test/kit/tls/certificate.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildImage } from "../../test/kit/images/build-image.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";

const BLOB = noise(3_000_000);
const DESCRIPTOR = describeBlob(BLOB);
const RANGE = { start: 2_000_000, end: 2_000_100 };

const serveRange: Script = (request, response) => {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  if (match === null) return void response.end(BLOB);
  const [start, end] = [Number(match[1]), Number(match[2]) + 1];
  response
    .writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${BLOB.length}` })
    .end(BLOB.subarray(start, end));
};

/** A registry that wants Basic and sends every blob to `target`. */
function redirecting(target: () => string, status = 307): Promise<ScriptedServer> {
  return scriptedServer((request, response) => {
    if (request.headers.authorization === undefined) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
    } else {
      response.writeHead(status, { location: target(), "set-cookie": "sid=1" }).end();
    }
  });
}

const credentials = { username: "ada", password: "secret-of-ada" };

describe("a redirect to another host", () => {
  it("never sees Authorization, the headers of hosts.toml or cookies, but keeps Range and Accept-Encoding", async () => {
    await using dir = await tempDir();
    await using cdn = await scriptedServer(serveRange);
    await using registry = await redirecting(() => `${cdn.url}/signed?sig=abc`);
    const place = join(dir.path, registry.host);
    await mkdir(place, { recursive: true });
    await writeFile(
      join(place, "hosts.toml"),
      `server = "${registry.url}"\n[header]\nx-api-key = "key-for-the-registry"\n`,
    );
    await using client = testClient({ credentials, hostsDir: dir.path });
    const bytes = await collect(client.blobs(at(registry.host)).readBlob(DESCRIPTOR, { range: RANGE }));
    expect(bytes.equals(BLOB.subarray(RANGE.start, RANGE.end))).toBe(true);
    expect(registry.seen.every(({ headers }) => headers["x-api-key"] === "key-for-the-registry")).toBe(true);
    expect(cdn.seen).toHaveLength(1);
    expect(cdn.seen[0]?.url).toBe("/signed?sig=abc");
    const headers = cdn.seen[0]?.headers ?? {};
    expect(headers).not.toHaveProperty("authorization");
    expect(headers).not.toHaveProperty("x-api-key");
    expect(headers).not.toHaveProperty("cookie");
    expect(headers.range).toBe("bytes=2000000-2000099");
    expect(headers["accept-encoding"]).toBe("identity");
  });

  it("to another port of the same name is another host, and coming back does not bring the credentials back", async () => {
    let back = "";
    await using hop = await scriptedServer(
      (_request, response) => void response.writeHead(302, { location: back }).end(),
    );
    await using registry = await scriptedServer((request, response, nth) => {
      if (nth === 0) response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      else if (request.url === "/final") response.end(BLOB);
      else response.writeHead(302, { location: `${hop.url}/hop` }).end();
    });
    back = `${registry.url}/final`;
    await using client = testClient({ credentials });
    await collect(client.blobs(at(registry.host)).readBlob(DESCRIPTOR));
    expect(hop.seen[0]?.headers).not.toHaveProperty("authorization");
    expect(registry.seen.at(-1)?.url).toBe("/final");
    expect(registry.seen.at(-1)?.headers).not.toHaveProperty("authorization");
  });

  it("within the same host keeps the credentials", async () => {
    await using registry = await scriptedServer((request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { "www-authenticate": "Basic" }).end();
      } else if (request.url === "/elsewhere") response.end(BLOB);
      else response.writeHead(307, { location: "/elsewhere" }).end();
    });
    await using client = testClient({ credentials });
    const bytes = await collect(client.blobs(at(registry.host)).readBlob(DESCRIPTOR));
    expect(bytes.equals(BLOB)).toBe(true);
  });

  it("is resolved once for many ranges, and again when the signed URL is refused", async () => {
    let generation = 1;
    await using cdn = await scriptedServer((request, response, nth) => {
      if (request.url === `/signed?g=${generation}`) return void serveRange(request, response, nth);
      response.writeHead(403).end("<Error><Code>ExpiredToken</Code></Error>");
    });
    await using registry = await redirecting(() => `${cdn.url}/signed?g=${generation}`);
    await using client = testClient({ credentials });
    const blobs = client.blobs(at(registry.host));
    const range = async (start: number): Promise<void> => {
      const bytes = await collect(blobs.readBlob(DESCRIPTOR, { range: { start, end: start + 100 } }));
      expect(bytes.equals(BLOB.subarray(start, start + 100))).toBe(true);
    };
    await range(2_000_000);
    const resolutions = registry.seen.length;
    await Promise.all([range(2_100_000), range(2_200_000), range(2_300_000)]);
    expect(registry.seen).toHaveLength(resolutions);
    generation = 2;
    await range(2_400_000);
    expect(registry.seen).toHaveLength(resolutions + 1);
    await range(2_500_000);
    expect(registry.seen).toHaveLength(resolutions + 1);
  });

  it("that is refused even when fresh is DENIED after one more resolution", async () => {
    await using cdn = await scriptedServer((_request, response) => void response.writeHead(403).end("no"));
    await using registry = await redirecting(() => `${cdn.url}/signed`);
    await using client = testClient({ credentials });
    await expect(collect(client.blobs(at(registry.host)).readBlob(DESCRIPTOR))).rejects.toMatchObject({
      code: "DENIED",
    });
    expect(cdn.seen).toHaveLength(2);
  });

  it("does not go on for more than ten hops", async () => {
    await using registry = await scriptedServer(
      (_request, response, nth) => void response.writeHead(302, { location: `/hop${nth}` }).end(),
    );
    await using client = testClient();
    await expect(client.resolve(at(registry.host))).rejects.toMatchObject({ code: "REGISTRY_PROTOCOL" });
    expect(registry.seen).toHaveLength(11);
  });

  it("from https to plain http is refused", async () => {
    const certificate = makeCertificate();
    await using dir = await tempDir();
    const caFile = join(dir.path, "ca.pem");
    await writeFile(caFile, certificate.cert);
    await using plain = await scriptedServer(serveRange);
    await using registry = await scriptedServer(
      (_request, response) => void response.writeHead(307, { location: `${plain.url}/x` }).end(),
      certificate,
    );
    await using client = testClient({ plainHttp: false, caFile });
    const reading = collect(client.blobs(at(registry.host)).readBlob(DESCRIPTOR));
    await expect(reading).rejects.toMatchObject({
      code: "REGISTRY_PROTOCOL",
      message: expect.stringContaining("https"),
    });
    expect(plain.seen).toHaveLength(0);
  });

  it("works against the kit's registry with signed, expiring URLs", async () => {
    await using registry = await startRegistry({ quirks: { blobRedirect: { ttlMs: 60_000 } } });
    const image = await buildImage({ layers: [BLOB], compression: "none" });
    await pushImage(registry.host, "team/app", "v1", image);
    await using client = testClient();
    const layer = image.layers[0]?.descriptor;
    if (layer === undefined) throw new Error("no layer");
    expect(await collect(client.blobs(at(registry.host)).readBlob(layer))).toHaveLength(layer.size);
  });
});
