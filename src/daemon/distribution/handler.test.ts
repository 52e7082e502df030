/** What the handler does beyond what every registry does: rights, sources that are not the store, clients that go away. */
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { startTestDaemon } from "../../../test/kit/daemon/start-daemon.ts";
import { serveStore, type ServeStoreOptions } from "../../../test/kit/daemon/serve-store.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { callsTo } from "../../../test/kit/net/call.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import type { Store } from "../../store/store.ts";
import type { Access } from "./options.ts";
import type { Asked, ContentSource, ServedBlob } from "./types.ts";

const BYTES = createRng(7).bytes(100_000);
const DIGEST = digestOf(BYTES);

async function served(options: ServeStoreOptions = {}) {
  const server = await serveStore(options);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { server, call: callsTo(() => server.url) };
}

/** A source of one blob that comes by its chunks. */
function sourceOf(read: ServedBlob["read"], more: Partial<ContentSource> = {}): ContentSource {
  return {
    manifest: async () => undefined,
    blob: async (_, digest) => ({ digest, size: BYTES.length, read }),
    tags: async () => undefined,
    referrers: async () => [],
    ...more,
  };
}

async function* chunksOf(start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end; at += 30_000) yield BYTES.subarray(at, Math.min(end, at + 30_000));
}

describe("rights", () => {
  it("to change anything are asked for each time", async () => {
    let allowed = true;
    const { call } = await served({ registry: { allows: () => allowed } });
    const path = `/v2/a/blobs/uploads/?digest=${DIGEST}`;
    expect((await call("POST", path, {}, BYTES)).status).toBe(201);
    allowed = false;
    const type = { "content-type": MEDIA_TYPES.ociManifest };
    for (const [method, at, headers, body] of [
      ["POST", path, {}, BYTES],
      ["PATCH", `/v2/a/blobs/uploads/${crypto.randomUUID()}`, {}, BYTES],
      ["PUT", "/v2/a/manifests/x", type, "{}"],
      ["DELETE", "/v2/a/manifests/x", {}, undefined],
      ["DELETE", `/v2/a/blobs/${DIGEST}`, {}, undefined],
    ] as const) {
      const answer = await call(method, at, headers, body);
      expect([method, answer.status, answer.code(), answer.headers["allow"]]).toEqual([
        method,
        405,
        "UNSUPPORTED",
        "GET, HEAD",
      ]);
    }
    expect((await call("GET", `/v2/a/blobs/${DIGEST}`)).bytes.equals(BYTES)).toBe(true);
  });

  it("are asked for by repository and action, and a mount by who may not read is a push", async () => {
    const asked: Access[] = [];
    const authorize = (_: unknown, access: Access): void => {
      asked.push(access);
      if (access.name !== "secret") return;
      throw new VarveError("UNAUTHORIZED", "not yours", { detail: { challenge: 'Bearer realm="x"' } });
    };
    const { server, call } = await served({ registry: { authorize } });
    const refused = await call("GET", "/v2/secret/tags/list");
    expect([refused.status, refused.code(), refused.headers["www-authenticate"]]).toEqual([
      401,
      "UNAUTHORIZED",
      'Bearer realm="x"',
    ]);
    await server.store.content.writeBytes(DIGEST, BYTES);
    await server.store.repositories.addBlob({ origin: "hosted", name: "secret" }, DIGEST);
    expect((await call("POST", `/v2/b/blobs/uploads/?mount=${DIGEST}&from=secret`)).status).toBe(202);
    await call("DELETE", "/v2/b/manifests/x");
    expect(asked).toEqual([
      { name: "secret", actions: ["pull"] },
      { name: "b", actions: ["pull", "push"] },
      { name: "secret", actions: ["pull"] },
      { name: "b", actions: ["delete"] },
    ]);
  });

  it("do not reach what belongs to other registries", async () => {
    const { call } = await served();
    for (const name of ["localhost:5000/a", "[::1]:5000/a"]) {
      expect((await call("GET", `/v2/${name}/tags/list`)).code()).toBe("NAME_UNKNOWN");
      expect((await call("POST", `/v2/${name}/blobs/uploads/`)).status).toBe(405);
    }
  });

  it("end where a name stands for another registry's content", async () => {
    const source = sourceOf(chunksOf, { writable: async (name) => name !== "theirs" });
    const { call } = await served({ registry: { source } });
    expect((await call("POST", "/v2/ours/blobs/uploads/")).status).toBe(202);
    for (const [method, path] of [
      ["POST", "/v2/theirs/blobs/uploads/"],
      ["PUT", "/v2/theirs/manifests/x"],
      ["DELETE", "/v2/theirs/manifests/x"],
      ["DELETE", `/v2/theirs/blobs/${DIGEST}`],
    ] as const) {
      const answer = await call(method, path, {}, method === "PUT" ? "{}" : undefined);
      expect([method, answer.status, answer.code()]).toEqual([method, 405, "UNSUPPORTED"]);
    }
  });

  it("count what is read under a name as there for what is pushed to it", async () => {
    const { promise: opened, resolve } = Promise.withResolvers<Store>();
    const fetched: Digest[] = [];
    const looked: Digest[] = [];
    const source = sourceOf(chunksOf, {
      async blob(_, digest) {
        looked.push(digest);
        if (digest !== DIGEST) return undefined;
        // As a mirror does, which has the blob when it has been read.
        async function* read(start: number, end: number): AsyncGenerator<Uint8Array> {
          fetched.push(digest);
          yield* chunksOf(start, end);
          await (await opened).content.writeBytes(DIGEST, BYTES);
        }
        return { digest, size: BYTES.length, read };
      },
    });
    const { server, call } = await served({ registry: { source } });
    resolve(server.store);
    const manifestOf = (digest: Digest): string =>
      JSON.stringify({ schemaVersion: 2, config: { mediaType: "x/y", digest, size: BYTES.length }, layers: [] });
    const type = { "content-type": MEDIA_TYPES.ociManifest };
    expect((await call("HEAD", `/v2/a/blobs/${DIGEST}`)).status).toBe(200);
    for (let time = 0; time < 2; time++) {
      expect((await call("PUT", "/v2/a/manifests/x", type, manifestOf(DIGEST))).status).toBe(201);
    }
    expect(fetched).toEqual([DIGEST]);
    expect((await server.store.collectGarbage()).blobs.count).toBe(0);
    const lacking = await call("PUT", "/v2/a/manifests/y", type, manifestOf(digestOf("nobody's")));
    expect([lacking.status, lacking.code()]).toEqual([404, "MANIFEST_BLOB_UNKNOWN"]);
    // Of a repository that has none of it: nothing is fetched for what cannot be whole, and nobody is asked for thousands.
    const layersOf = (digests: readonly Digest[]): string =>
      JSON.stringify({ schemaVersion: 2, layers: digests.map((digest) => ({ mediaType: "x/y", digest, size: 1 })) });
    looked.length = 0;
    const many = Array.from({ length: 1000 }, (_, number) => digestOf(String(number)));
    for (const digests of [
      [DIGEST, digestOf("nobody's")],
      [DIGEST, ...many],
    ]) {
      expect((await call("PUT", "/v2/b/manifests/x", type, layersOf(digests))).code()).toBe("MANIFEST_BLOB_UNKNOWN");
    }
    expect(fetched).toEqual([DIGEST]);
    expect(looked).toEqual([DIGEST, digestOf("nobody's")]);
  });

  it("never make a page of this host out of what was pushed", async () => {
    const { call } = await served();
    const html = Buffer.from(`{"schemaVersion":2,"x":"<script>alert(1)</script>"}`);
    for (const type of ["text/html", "application/xhtml+xml", "image/svg+xml", "application/javascript"]) {
      const put = await call("PUT", "/v2/a/manifests/x", { "content-type": type }, html);
      expect([type, put.status, put.code()]).toEqual([type, 400, "MANIFEST_INVALID"]);
    }
    expect((await call("PUT", "/v2/a/manifests/x", { "content-type": "application/json" }, html)).status).toBe(201);
    expect((await call("GET", "/v2/a/manifests/x")).headers["x-content-type-options"]).toBe("nosniff");
  });
});

describe("a source that is not the store", () => {
  it("is told who asks for what, and its registry is named in the answer", async () => {
    const asked: Asked[] = [];
    const source = sourceOf(chunksOf, {
      async manifest(_, __, who) {
        asked.push(who);
        return {
          digest: DIGEST,
          mediaType: MEDIA_TYPES.ociManifest,
          bytes: Buffer.from("{}"),
          warning: 'old "news"\n',
        };
      },
    });
    const { call } = await served({ registry: { source } });
    const answer = await call("GET", "/v2/a/manifests/x?ns=docker.io", {
      authorization: "Basic eA==",
      via: "1.1 other",
    });
    expect([answer.status, answer.headers["oci-namespace"]]).toEqual([200, "docker.io"]);
    expect(answer.headers["warning"]).toBe(String.raw`299 - "old \"news\" "`);
    expect(asked).toMatchObject([{ namespace: "docker.io", authorization: "Basic eA==", via: "1.1 other" }]);
    for (const odd of ["", "a%0d%0ab", "a%00", "a_b", "x".repeat(256)]) {
      const refused = await call("GET", `/v2/a/manifests/x?ns=${odd}`);
      expect([odd, refused.status, refused.code()]).toEqual([odd, 400, "NAME_INVALID"]);
    }
    expect(asked).toHaveLength(1);
  });

  it("gives its bytes as they come, in ranges too", async () => {
    const { call } = await served({ registry: { source: sourceOf(chunksOf) } });
    expect((await call("GET", `/v2/a/blobs/${DIGEST}`)).bytes.equals(BYTES)).toBe(true);
    const part = await call("GET", `/v2/a/blobs/${DIGEST}`, { range: "bytes=29999-60000" });
    expect([part.status, part.bytes.equals(BYTES.subarray(29_999, 60_001))]).toEqual([206, true]);
    const several = await call("GET", `/v2/a/blobs/${DIGEST}`, { range: "bytes=5-9,99000-" });
    expect([several.status, several.headers["content-length"]]).toEqual([206, String(several.bytes.length)]);
    expect(several.bytes.includes(BYTES.subarray(99_000))).toBe(true);
  });

  it("is not read for HEAD", async () => {
    const read = (): never => {
      throw new Error("nobody asked for bytes");
    };
    const { call } = await served({ registry: { source: sourceOf(read) } });
    const { status, headers } = await call("HEAD", `/v2/a/blobs/${DIGEST}`);
    expect([status, headers["content-length"]]).toEqual([200, String(BYTES.length)]);
  });

  it("that fails before the first byte is a coded error, and after it no whole answer", async () => {
    let after = 0;
    const source = sourceOf(async function* () {
      if (after > 0) yield BYTES.subarray(0, after);
      throw new VarveError("REGISTRY_UNREACHABLE", "nobody there");
    });
    const { call } = await served({ registry: { source } });
    for (const range of [{}, { range: "bytes=1-2,4-5" }]) {
      const refused = await call("GET", `/v2/a/blobs/${DIGEST}`, range);
      expect([refused.status, refused.code()]).toEqual([502, "UNKNOWN"]);
    }
    after = 50_000;
    await expect(call("GET", `/v2/a/blobs/${DIGEST}`)).rejects.toThrow(/terminated|closed|aborted/);
  });

  it("is left alone when the client has gone", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const source = sourceOf(async function* (_start, _end, signal) {
      yield BYTES.subarray(0, 10);
      await new Promise<void>((gone) => signal.addEventListener("abort", () => gone(), { once: true }));
      resolve();
    });
    const { server } = await served({ registry: { source } });
    const socket = connect(Number(server.host.split(":")[1]), "127.0.0.1");
    socket.write(`GET /v2/a/blobs/${DIGEST} HTTP/1.1\r\nhost: x\r\n\r\n`);
    socket.once("data", () => socket.destroy());
    await promise;
  });
});

describe("a client that asks before it sends", () => {
  it("is told to go on when its bytes are wanted, and refused without them", async () => {
    const server = await startTestDaemon({ config: { allowPush: true } });
    const ask = async (method: string, path: string, length = BYTES.length): Promise<string[]> => {
      const said: string[] = [];
      const request = httpRequest(`${server.origin}${path}`, {
        method,
        headers: { expect: "100-continue", "content-length": length },
      });
      request.on("continue", () => {
        said.push("continue");
        request.end(BYTES);
      });
      request.flushHeaders();
      const [response] = (await once(request, "response")) as [IncomingMessage];
      said.push(String(response.statusCode));
      request.destroy();
      return said;
    };
    expect(await ask("POST", `/v2/a/blobs/uploads/?digest=${DIGEST}`)).toEqual(["continue", "201"]);
    expect(await ask("PUT", "/v2/a/manifests/x", 100 << 20)).toEqual(["413"]);
    expect(await ask("POST", "/v2/Bad/blobs/uploads/")).toEqual(["400"]);
    expect(await ask("PATCH", `/v2/a/blobs/uploads/${crypto.randomUUID()}`)).toEqual(["404"]);
    expect(await ask("PUT", `/v2/localhost:5000/a/manifests/x`)).toEqual(["405"]);
  });
});

describe("many ranges at once", () => {
  it("are sent one by one, and more than podman asks for are refused", async () => {
    const { call } = await served();
    await call("POST", `/v2/a/blobs/uploads/?digest=${DIGEST}`, {}, BYTES);
    const ranges = (count: number): string =>
      `bytes=${Array.from({ length: count }, (_, at) => `${90 * at}-${90 * at + 9}`).join(",")}`;
    const answer = await call("GET", `/v2/a/blobs/${DIGEST}`, { range: ranges(1024) });
    expect([answer.status, answer.headers["content-length"]]).toEqual([206, String(answer.bytes.length)]);
    const text = answer.bytes.toString("latin1");
    let at = 0;
    for (let part = 0; part < 1024; part++) {
      at = text.indexOf(`content-range: bytes ${90 * part}-${90 * part + 9}/100000\r\n\r\n`, at);
      expect(at).toBeGreaterThan(0);
      at = text.indexOf("\r\n\r\n", at) + 4;
      expect(text.slice(at, at + 10)).toBe(BYTES.toString("latin1", 90 * part, 90 * part + 10));
    }
    expect((await call("GET", `/v2/a/blobs/${DIGEST}`, { range: ranges(1025) })).status).toBe(400);
  });
});

describe("referrers", () => {
  it("of one subject are no more than can be listed", async () => {
    const { call } = await served();
    const put = async (number: number): Promise<number> => {
      const subject = { mediaType: MEDIA_TYPES.ociManifest, digest: DIGEST, size: 1 };
      const annotations = { number: String(number), long: "x".repeat(3_900_000) };
      const body = JSON.stringify({ schemaVersion: 2, manifests: [], subject, annotations });
      return (await call("PUT", `/v2/a/manifests/t${number}`, { "content-type": MEDIA_TYPES.ociIndex }, body)).status;
    };
    expect([await put(1), await put(2), await put(3), await put(4), await put(5)]).toEqual([201, 201, 201, 201, 413]);
    const first = await call("GET", `/v2/a/referrers/${DIGEST}`);
    expect(first.json()["manifests"]).toHaveLength(1);
    expect(await call("DELETE", `/v2/a/manifests/t1`)).toMatchObject({ status: 202 });
    expect(await put(5)).toBe(413);
  });

  it("come in pages that hold no more than clients take", async () => {
    const descriptors = Array.from({ length: 5 }, (_, number) => ({
      mediaType: MEDIA_TYPES.ociManifest,
      digest: digestOf(`referrer ${number}`),
      size: 1,
      annotations: { long: "x".repeat(900_000) },
    }));
    const { call } = await served({ registry: { source: sourceOf(chunksOf, { referrers: async () => descriptors }) } });
    const found: Digest[] = [];
    let pages = 0;
    for (let next: string | undefined = `/v2/a/referrers/${DIGEST}?ns=docker.io`; next !== undefined; pages++) {
      const page = await call("GET", next);
      const { bytes, headers } = page;
      expect(bytes.length).toBeLessThan(4 << 20);
      found.push(...(page.json()["manifests"] as { digest: Digest }[]).map(({ digest }) => digest));
      next = /<([^>]+)>; rel="next"/.exec(headers["link"] ?? "")?.[1];
      if (next !== undefined) expect(next).toContain("ns=docker.io");
    }
    expect(pages).toBe(3);
    expect(found).toEqual(descriptors.map(({ digest }) => digest).sort());
  });
});
