/** Every way in which the kit's registry can be odd, seen from a client. */
import { Agent, request } from "undici";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../../src/oci/digest.ts";
import { buildImage } from "../images/build-image.ts";
import { pushImage } from "../images/push-image.ts";
import { createRng } from "../images/rng.ts";
import { callsTo } from "../net/call.ts";
import { makeCertificate } from "../tls/certificate.ts";
import { file } from "../trees/tree-node.ts";
import { EgressLimit } from "./egress.ts";
import type { RegistryQuirks } from "./quirks.ts";
import { startRegistry } from "./registry.ts";
import { UploadTroubles } from "./upload-troubles.ts";
import { connect } from "node:tls";

const BLOB = createRng(1).bytes(10_000);
const DIGEST = digestOf(BLOB);
const image = await buildImage({ layers: [[file("a")], BLOB], compression: "none" });
const blob = `/v2/r/blobs/${DIGEST}`;

/** A registry that was filled while it behaved. */
async function odd(quirks: RegistryQuirks) {
  const registry = await startRegistry(quirks.blobRedirect === undefined ? {} : { quirks });
  for (const tag of ["a", "b", "c"]) await pushImage(registry.host, "r", tag, image);
  registry.setQuirks(quirks);
  const call = callsTo(() => registry.url);
  return { registry, call, [Symbol.asyncDispose]: () => registry.close() };
}

describe("answers", () => {
  it("lack the digest, or HEAD, or carry parameters", async () => {
    await using one = await odd({ digestHeader: false, contentTypeParameters: true, manifestHead: 405, blobHead: 403 });
    const { headers } = await one.call("GET", "/v2/r/manifests/a");
    expect(headers["docker-content-digest"]).toBeUndefined();
    expect(headers["content-type"]).toMatch(/json; charset=utf-8$/);
    expect((await one.call("HEAD", "/v2/r/manifests/a")).status).toBe(405);
    expect((await one.call("HEAD", blob)).status).toBe(403);
  });

  it("end where no more may be sent, until that was said often enough", async () => {
    for (const cuts of [false, true]) {
      const egress = new EgressLimit({ bytes: 4000, refusals: 2, retryAfter: 7, cuts });
      await using one = await odd({ egress });
      const first = await one.call("GET", blob).catch(() => undefined);
      expect(first?.status).toBe(cuts ? undefined : 200);
      for (let refusal = 0; refusal < 2; refusal++) {
        const { status, headers, bytes } = await one.call("GET", blob);
        expect({ status, after: headers["retry-after"] }).toEqual({ status: 503, after: "7" });
        expect(bytes.toString()).toContain("Egress is over the account limit.");
      }
      expect((await one.call("GET", blob, { range: "bytes=0-99" })).status).toBe(206);
      expect(egress.refused).toBe(2);
    }
  });

  it("ignore ranges, or refuse several", async () => {
    await using one = await odd({ ranges: "ignore" });
    const { status, headers } = await one.call("GET", blob, { range: "bytes=0-9" });
    expect([status, headers["accept-ranges"]]).toEqual([200, undefined]);
    one.registry.setQuirks({ multiRange: 501 });
    expect((await one.call("GET", blob, { range: "bytes=0-9,20-29" })).status).toBe(501);
    expect((await one.call("GET", blob, { range: "bytes=0-9" })).status).toBe(206);
    one.registry.setQuirks({ multiRange: "whole" });
    expect((await one.call("GET", blob, { range: "bytes=0-9,20-29" })).status).toBe(200);
  });

  it("have no length, or an ETag, or any header", async () => {
    await using one = await odd({ blobsWithoutLength: true, etag: true, headers: { warning: '299 - "old"' } });
    const { headers, bytes } = await one.call("GET", blob);
    expect([headers["content-length"], headers["transfer-encoding"]]).toEqual([undefined, "chunked"]);
    expect(bytes.equals(BLOB)).toBe(true);
    expect(headers["warning"]).toBe('299 - "old"');
    const etag = headers["etag"] ?? "";
    expect((await one.call("GET", blob, { "if-none-match": etag })).status).toBe(304);
    expect((await one.call("GET", blob, { range: "bytes=0-1", "if-range": '"other"' })).status).toBe(200);
    expect((await one.call("GET", blob, { range: "bytes=0-1", "if-range": etag })).status).toBe(206);
  });

  it("come in small pages, whatever was asked", async () => {
    await using one = await odd({ tagsPage: 2 });
    const { bytes, headers } = await one.call("GET", "/v2/r/tags/list?n=100");
    expect(JSON.parse(bytes.toString())).toEqual({ name: "r", tags: ["a", "b"] });
    expect(headers["link"]).toBe('</v2/r/tags/list?n=2&last=b>; rel="next"');
  });
});

describe("blobs by redirect", () => {
  it("come from a second origin that takes no credentials and lets URLs expire", async () => {
    await using one = await odd({ blobRedirect: {} });
    const { status, headers } = await one.call("GET", blob);
    expect(status).toBe(307);
    const location = headers["location"] ?? "";
    expect(new URL(location).host).toBe(one.registry.blobOrigin?.host);
    expect((await one.call("GET", location)).bytes.equals(BLOB)).toBe(true);
    expect((await one.call("GET", location, { range: "bytes=5-9" })).bytes.equals(BLOB.subarray(5, 10))).toBe(true);
    expect((await one.call("GET", location, { authorization: "Basic x" })).status).toBe(400);
    expect(one.registry.blobOrigin?.requests.at(-1)?.headers.authorization).toBe("Basic x");
    expect((await one.call("GET", location.replace("signature=", "signature=0"))).status).toBe(403);
    one.registry.blobOrigin?.expireAll();
    expect((await one.call("GET", location)).status).toBe(403);
  });

  it("have URLs with a time to live", async () => {
    await using one = await odd({ blobRedirect: { ttlMs: -1 } });
    const { headers } = await one.call("GET", blob);
    expect((await one.call("GET", headers["location"] ?? "")).status).toBe(403);
  });
});

const start = async (one: Awaited<ReturnType<typeof odd>>, query = "") =>
  one.call("POST", `/v2/r/blobs/uploads/${query}`);

describe("pushes", () => {
  it("are refused by a read-only registry, deletions by one that keeps everything", async () => {
    await using one = await odd({ push: false, delete: false });
    expect((await start(one)).status).toBe(405);
    const type = { "content-type": image.descriptor.mediaType };
    expect((await one.call("PUT", "/v2/r/manifests/x", type, image.bytes)).status).toBe(405);
    expect((await one.call("DELETE", "/v2/r/manifests/a")).status).toBe(405);
    expect((await one.call("DELETE", blob)).status).toBe(405);
  });

  it("cannot mount, nor end with their POST", async () => {
    await using one = await odd({ mount: false, monolithicPost: false });
    expect((await start(one, `?mount=${DIGEST}&from=r`)).status).toBe(202);
    expect((await one.call("POST", `/v2/r/blobs/uploads/?digest=${DIGEST}`, {}, BLOB)).status).toBe(202);
  });

  it("have Locations with state, which has to come back unchanged", async () => {
    await using one = await odd({ uploadLocation: "query" });
    const location = (await start(one)).headers["location"] ?? "";
    expect(location).toContain("&x=a%2Fb");
    expect((await one.call("PATCH", location.replace(/_state=[^&]*/, "_state=x"), {}, BLOB)).status).toBe(404);
    expect((await one.call("PUT", `${location}&digest=${DIGEST}`, {}, BLOB)).status).toBe(201);
  });

  it("demand a least length of chunks, and are answered 201", async () => {
    await using one = await odd({ chunkMinLength: 1000, patchStatus: 201 });
    const { headers } = await start(one);
    expect(headers["oci-chunk-min-length"]).toBe("1000");
    const location = headers["location"] ?? "";
    expect((await one.call("PATCH", location, {}, BLOB.subarray(0, 10))).status).toBe(201);
    expect((await one.call("PATCH", location, {}, BLOB.subarray(10))).status).toBe(416);
  });

  it("end at an old Location, or with a PUT that brings nothing, or with another status", async () => {
    await using one = await odd({ uploadLocation: "query", staleLocationEnds: true });
    const location = (await start(one)).headers["location"] ?? "";
    const next = (await one.call("PATCH", location, {}, BLOB)).headers["location"] ?? "";
    expect((await one.call("GET", location)).status).toBe(404);
    expect((await one.call("GET", next)).status).toBe(404);
    one.registry.setQuirks({ emptyPut: false, putStatus: 204 });
    const other = (await start(one)).headers["location"] ?? "";
    await one.call("PATCH", other, {}, BLOB.subarray(0, 10));
    expect((await one.call("PUT", `${other}?digest=${DIGEST}`)).status).toBe(400);
    expect((await one.call("PUT", `${other}?digest=${DIGEST}`, {}, BLOB.subarray(10))).status).toBe(204);
  });

  it("are too long, or go to another origin, which takes no credentials", async () => {
    await using one = await odd({ bodyLimit: 100, uploadLocation: "elsewhere", uploadRange: "0-7" });
    const { headers } = await start(one);
    const location = headers["location"] ?? "";
    expect([new URL(location).host, headers["range"]]).toEqual([one.registry.uploadOrigin.host, "0-7"]);
    expect((await one.call("PATCH", location, { authorization: "Basic x" }, BLOB.subarray(0, 9))).status).toBe(400);
    expect((await one.call("PATCH", location, {}, BLOB.subarray(0, 101))).status).toBe(413);
    one.registry.setQuirks({ uploadRange: false });
    const patched = await one.call("PATCH", location, {}, BLOB.subarray(0, 100));
    expect([patched.status, patched.headers["range"]]).toEqual([202, undefined]);
    expect(one.registry.uploadOrigin.requests).toHaveLength(3);
  });

  it("break after so many bytes, which are kept or not, and get lost", async () => {
    for (const keepsPartial of [true, false]) {
      const uploadTroubles = new UploadTroubles({ cuts: [1000], lostAfterBytes: 5000 });
      await using one = await odd({ uploadTroubles, keepsPartial });
      const location = (await start(one)).headers["location"] ?? "";
      await expect(one.call("PATCH", location, {}, BLOB)).rejects.toMatchObject({ code: expect.any(String) });
      await expect
        .poll(async () => (await one.call("GET", location)).headers["range"])
        .toBe(keepsPartial ? "0-999" : "0-0");
      await one.call("PATCH", location, {}, BLOB.subarray(keepsPartial ? 1000 : 0));
      expect((await one.call("GET", location)).code()).toBe("BLOB_UPLOAD_UNKNOWN");
      expect(uploadTroubles.left).toBe(0);
    }
  });

  it("of manifests can depend on what is there", async () => {
    await using one = await odd({ etag: true });
    const put = async (tag: string): Promise<number> => {
      const headers = { "content-type": image.descriptor.mediaType, "if-match": tag };
      return (await one.call("PUT", "/v2/r/manifests/a", headers, image.bytes)).status;
    };
    expect(await put(`"${digestOf("other")}"`)).toBe(412);
    expect(await put(`"${image.digest}"`)).toBe(201);
  });

  it("of lies are taken by a credulous registry only", async () => {
    const lie = await buildImage({
      layers: [[file("a")], [file("b")], [file("c")]],
      lies: {
        layers: {
          0: { corrupt: true },
          1: { absent: true },
          2: { size: 5, digest: digestOf("x"), diffId: digestOf("y") },
        },
      },
    });
    await using one = await odd({});
    await expect(pushImage(one.registry.host, "lies", "v", lie)).rejects.toThrow("DIGEST_INVALID");
    one.registry.setQuirks({ credulous: true });
    await pushImage(one.registry.host, "lies", "v", lie);
    const stored = await one.call("GET", `/v2/lies/blobs/${lie.layers[0]?.descriptor.digest}`);
    expect(digestOf(stored.bytes)).not.toBe(lie.layers[0]?.descriptor.digest);
    expect((await one.call("GET", `/v2/lies/blobs/${lie.layers[1]?.descriptor.digest}`)).status).toBe(404);
    expect(JSON.parse(lie.bytes.toString())).toMatchObject({ layers: [{}, {}, { size: 5, digest: digestOf("x") }] });
    expect(JSON.parse(lie.config.bytes.toString())).toMatchObject({
      rootfs: { diff_ids: [{}, {}, digestOf("y")].map(() => expect.any(String)) },
    });
  });

  it("of subjects are not understood by registries of spec 1.0", async () => {
    await using one = await odd({ referrers: false });
    const subject = await buildImage({ layers: [], subject: image.descriptor });
    await pushImage(one.registry.host, "r", "s", subject);
    const type = { "content-type": subject.descriptor.mediaType };
    const again = await one.call("PUT", "/v2/r/manifests/s", type, subject.bytes);
    expect([again.status, again.headers["oci-subject"]]).toEqual([201, undefined]);
    expect((await one.call("GET", `/v2/r/referrers/${image.digest}`)).status).toBe(404);
  });

  it("of referrers can be paged and unfiltered", async () => {
    await using one = await odd({ referrersPage: 1, referrersFilter: false });
    for (const tag of ["s", "t"]) {
      const artifact = await buildImage({ layers: [], subject: image.descriptor, artifactType: `test/${tag}` });
      await pushImage(one.registry.host, "r", tag, artifact);
    }
    const first = await one.call("GET", `/v2/r/referrers/${image.digest}?artifactType=test/s`);
    const next = /<(.+)>; rel="next"/.exec(first.headers["link"] ?? "")?.[1] ?? "";
    const second = await one.call("GET", next);
    expect(first.headers["oci-filters-applied"]).toBeUndefined();
    const listed = [first, second].flatMap(
      ({ bytes }) => (JSON.parse(bytes.toString()) as { manifests: unknown[] }).manifests,
    );
    expect(listed).toHaveLength(2);
    expect(second.headers["link"]).toBeUndefined();
  });
});

describe("over TLS", () => {
  it("shows a certificate that its issuer's certificate verifies", async () => {
    const issuer = makeCertificate({ commonName: "kit root", names: [] });
    const leaf = makeCertificate({ issuer, keyType: "ec" });
    await using registry = await startRegistry({ tls: leaf });
    expect(registry.url).toBe(`https://${registry.host}`);
    const handshake = (ca: string, servername: string) =>
      new Promise<string>((resolve) => {
        const socket = connect({ host: "127.0.0.1", port: registry.port, ca, servername }, () => {
          resolve("trusted");
          socket.destroy();
        });
        socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      });
    expect(await handshake(issuer.cert, "localhost")).toBe("trusted");
    expect(await handshake(issuer.cert, "example.org")).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
    expect(await handshake(makeCertificate().cert, "localhost")).not.toBe("trusted");
  });

  it("can demand a certificate of the client", async () => {
    const authority = makeCertificate({ commonName: "clients" });
    const client = makeCertificate({ commonName: "somebody", issuer: authority });
    const server = makeCertificate();
    await using registry = await startRegistry({ tls: { ...server, clientCa: authority.cert } });
    const ping = async (connect: object) => {
      const dispatcher = new Agent({ connect: { ca: server.cert, ...connect } });
      try {
        return (await request(`${registry.url}/v2/`, { dispatcher })).statusCode;
      } finally {
        await dispatcher.destroy();
      }
    };
    expect(await ping({ cert: client.cert, key: client.key })).toBe(200);
    await expect(ping({})).rejects.toThrow(/certificate required|closed|reset/i);
  });
});
