import { describe, expect, it } from "vitest";
import { scriptedServer, type Script } from "../../test/kit/http/scripted-server.ts";
import { at, describeBlob, eventLog, noise, testClient } from "../../test/kit/http/test-client.ts";
import { buildImage } from "../../test/kit/images/build-image.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { startRegistry } from "../../test/kit/registry/registry.ts";
import { digestOf } from "../oci/digest.ts";
import { withDigest } from "../oci/reference.ts";
import { fallbackTag } from "./referrers.ts";

const TYPE = "application/vnd.oci.image.index.v1+json";
const INDEX = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: TYPE, manifests: [] }));
const DIGEST = digestOf(INDEX);

async function withServer<T>(
  script: Script,
  work: (client: ReturnType<typeof testClient>, host: string) => Promise<T>,
) {
  await using server = await scriptedServer(script);
  await using client = testClient();
  const result = await work(client, server.host).catch((error: unknown) => error as Error);
  return { result, seen: server.seen.map(({ method, url }) => `${method} ${url}`) };
}

const get =
  (headers: Record<string, string> = {}): Script =>
  (request, response) => {
    response.writeHead(200, { "content-type": TYPE, "content-length": INDEX.length, ...headers });
    response.end(request.method === "HEAD" ? undefined : INDEX);
  };

describe("what a tag means", () => {
  const whole = { digest: DIGEST, mediaType: TYPE, size: INDEX.length };

  it("is asked by HEAD alone when its answer says all", async () => {
    const { result, seen } = await withServer(get({ "docker-content-digest": DIGEST }), (client, host) =>
      client.resolve(at(host)),
    );
    expect(result).toEqual(whole);
    expect(seen).toEqual(["HEAD /v2/team/app/manifests/v1"]);
  });

  it("has the parameters of Content-Type stripped", async () => {
    const headers = { "docker-content-digest": DIGEST, "content-type": `${TYPE}; charset=utf-8` };
    expect((await withServer(get(headers), (client, host) => client.resolve(at(host)))).result).toEqual(whole);
    expect((await withServer(get(headers), (client, host) => client.fetchManifest(at(host)))).result).toMatchObject({
      mediaType: TYPE,
    });
  });

  it("is asked by GET when HEAD lacks the digest, or has one of another kind", async () => {
    for (const headers of [{}, { "docker-content-digest": "md5:abc" }]) {
      const { result, seen } = await withServer(get(headers), (client, host) => client.resolve(at(host)));
      expect(result).toEqual(whole);
      expect(seen).toHaveLength(2);
    }
  });

  it("is asked by GET when HEAD lacks the length", async () => {
    const { result } = await withServer(
      (request, response) => {
        response.writeHead(200, {
          "content-type": TYPE,
          "docker-content-digest": DIGEST,
          "transfer-encoding": "chunked",
        });
        response.end(request.method === "HEAD" ? undefined : INDEX);
      },
      (client, host) => client.resolve(at(host)),
    );
    expect(result).toEqual(whole);
  });

  for (const status of [405, 403, 501, 400]) {
    it(`is asked by GET when HEAD is answered ${status}`, async () => {
      const { result } = await withServer(
        (request, response, nth) => {
          if (request.method === "HEAD") response.writeHead(status).end();
          else void get()(request, response, nth);
        },
        (client, host) => client.resolve(at(host)),
      );
      expect(result).toEqual(whole);
    });
  }

  it("is DENIED with the reason that only GET gives", async () => {
    const { result } = await withServer(
      (_request, response) =>
        void response.writeHead(403).end('{"errors":[{"code":"DENIED","message":"account suspended"}]}'),
      (client, host) => client.resolve(at(host)),
    );
    expect(result).toMatchObject({ code: "DENIED", message: expect.stringContaining("account suspended") });
  });

  it("is MANIFEST_UNKNOWN and names what was asked for", async () => {
    const { result } = await withServer(
      (_request, response) => void response.writeHead(404).end(),
      (client, host) => client.resolve(at(host)),
    );
    expect(result).toMatchObject({ code: "MANIFEST_UNKNOWN", message: expect.stringContaining("team/app:v1") });
  });

  it("is checked against the bytes when a digest was asked for and HEAD names another", async () => {
    const other = digestOf("another");
    const { result } = await withServer(get({ "docker-content-digest": DIGEST }), (client, host) =>
      client.resolve(withDigest(at(host), other)),
    );
    expect(result).toMatchObject({ code: "DIGEST_MISMATCH" });
  });
});

describe("a manifest", () => {
  it("is DIGEST_MISMATCH when it is not what was asked for, or not what the registry says", async () => {
    const other = digestOf("another");
    const byDigest = await withServer(get(), (client, host) => client.fetchManifest(at(host), { digest: other }));
    expect(byDigest.result).toMatchObject({ code: "DIGEST_MISMATCH" });
    const byTag = await withServer(get({ "docker-content-digest": other }), (client, host) =>
      client.fetchManifest(at(host)),
    );
    expect(byTag.result).toMatchObject({ code: "DIGEST_MISMATCH" });
  });

  it("may be named by the registry with another algorithm, which is then checked", async () => {
    const sha512 = digestOf(INDEX, "sha512");
    const { result } = await withServer(get({ "docker-content-digest": sha512 }), (client, host) =>
      client.fetchManifest(at(host)),
    );
    expect(result).toMatchObject({ digest: DIGEST });
  });

  it("of more than 4 MiB is MANIFEST_TOO_LARGE, whether it says so before or not", async () => {
    const large = Buffer.alloc(5 * 1024 * 1024, 32);
    for (const length of [{ "content-length": large.length }, {}]) {
      const { result } = await withServer(
        (_request, response) => void response.writeHead(200, { "content-type": TYPE, ...length }).end(large),
        (client, host) => client.fetchManifest(at(host)),
      );
      expect(result).toMatchObject({ code: "MANIFEST_TOO_LARGE" });
    }
  });

  it("is counted: its body is network bytes", async () => {
    const { events, onEvent } = eventLog();
    await withServer(get(), (client, host) => client.fetchManifest(at(host), { onEvent }));
    expect(events).toEqual([
      { type: "request", host: expect.any(String) as string },
      { type: "received", bytes: INDEX.length },
    ]);
  });
});

describe("a small blob", () => {
  const bytes = noise(1000);
  const blob = describeBlob(bytes);
  const fetchBlob = (script: Script, limit?: number) =>
    withServer(script, (client, host) => client.fetchBlobBytes(at(host), blob, limit === undefined ? {} : { limit }));

  it("is whole and verified", async () => {
    expect((await fetchBlob((_request, response) => void response.end(bytes))).result).toEqual(bytes);
    const flipped = Buffer.from(bytes);
    flipped[500] = (flipped[500] ?? 0) ^ 1;
    expect((await fetchBlob((_r, response) => void response.end(flipped))).result).toMatchObject({
      code: "DIGEST_MISMATCH",
    });
    expect((await fetchBlob((_r, response) => void response.end(bytes.subarray(1)))).result).toMatchObject({
      code: "SIZE_MISMATCH",
    });
    expect((await fetchBlob((_r, response) => void response.writeHead(404).end())).result).toMatchObject({
      code: "BLOB_UNKNOWN",
    });
  });

  it("that is larger than allowed is not asked for", async () => {
    const { result, seen } = await fetchBlob((_request, response) => void response.end(bytes), 999);
    expect(result).toMatchObject({ code: "MANIFEST_TOO_LARGE" });
    expect(seen).toEqual([]);
  });
});

const list = (script: Script) => withServer(script, (client, host) => client.listTags(at(host)));

async function withReferrers(quirks: { referrers?: boolean; referrersFilter?: boolean; referrersPage?: number }) {
  await using registry = await startRegistry({ quirks });
  const subject = await buildImage({ layers: [noise(100)], compression: "none" });
  await pushImage(registry.host, "team/app", "v1", subject);
  const pushed: string[] = [];
  for (const artifactType of ["application/a", "application/b", "application/a"]) {
    const layers = [noise(100, `${artifactType} ${pushed.length}`)];
    const image = await buildImage({ layers, compression: "none", artifactType, subject: subject.descriptor });
    const tag = quirks.referrers === false ? fallbackTag(subject.digest) : `r${pushed.length}`;
    if (quirks.referrers !== false) await pushImage(registry.host, "team/app", tag, image);
    pushed.push(image.digest);
  }
  await using client = testClient();
  const ofA = await client.referrers(at(registry.host), subject.digest, { artifactType: "application/a" });
  const all = await client.referrers(at(registry.host), subject.digest);
  return { pushed, all: all.map(({ digest }) => digest), ofA: ofA.map(({ digest }) => digest) };
}

describe("referrers", () => {
  it("come from the API, in pages, filtered by the registry or here", async () => {
    for (const quirks of [{}, { referrersFilter: false }, { referrersPage: 1 }]) {
      const { pushed, all, ofA } = await withReferrers(quirks);
      expect(new Set(all)).toEqual(new Set(pushed));
      expect(new Set(ofA)).toEqual(new Set([pushed[0], pushed[2]]));
    }
  });

  it("are none where neither the API nor the fallback tag exists", async () => {
    expect((await withReferrers({ referrers: false })).all).toEqual([]);
  });

  it("come from the fallback tag of a registry without the API", async () => {
    const digest = digestOf("subject");
    const entry = {
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest: digestOf("r"),
      size: 5,
      artifactType: "x/y",
    };
    const index = JSON.stringify({ schemaVersion: 2, mediaType: TYPE, manifests: [entry] });
    const { result, seen } = await withServer(
      (request, response) => {
        if (request.url.includes("/referrers/")) response.writeHead(404).end("404 page not found");
        else response.writeHead(200, { "content-type": TYPE }).end(index);
      },
      (client, host) => client.referrers(at(host), digest),
    );
    expect(result).toEqual([entry]);
    expect(seen[1]).toBe(`GET /v2/team/app/manifests/${digest.replace(":", "-")}`);
  });
});

const page = (tags: (string | number)[] | null): string => JSON.stringify({ name: "team/app", tags });

describe("tags", () => {
  it("come in pages, by Link", async () => {
    const { result, seen } = await list((request, response) => {
      if (request.url.includes("last=b")) response.end(page(["c"]));
      else response.writeHead(200, { link: '</v2/team/app/tags/list?n=2&last=b>; rel="next"' }).end(page(["a", "b"]));
    });
    expect(result).toEqual(["a", "b", "c"]);
    expect(seen).toHaveLength(2);
  });

  it("come in pages without Link too, and end when nothing new comes", async () => {
    const all = Array.from({ length: 1500 }, (_, index) => `t${String(index).padStart(4, "0")}`);
    const { result } = await list((request, response) => {
      const last = new URL(request.url, "http://x").searchParams.get("last") ?? "";
      response.end(page(all.filter((tag) => tag > last).slice(0, 1000)));
    });
    expect(result).toEqual(all);
    const deaf = await list((_request, response) => void response.end(page(all)));
    expect(deaf.result).toEqual(all);
    expect(deaf.seen).toHaveLength(2);
  });

  it("may be none, and what is no tag is left out", async () => {
    expect((await list((_r, response) => void response.end(page(null)))).result).toEqual([]);
    expect((await list((_r, response) => void response.end(page(["ok", "../x", 5, ""])))).result).toEqual(["ok"]);
  });

  it("that lead to another host, or in a circle, are refused", async () => {
    const away = await list(
      (_r, response) =>
        void response.writeHead(200, { link: '<http://evil/v2/team/app/x>; rel="next"' }).end(page(["a"])),
    );
    expect(away.result).toMatchObject({ code: "REGISTRY_PROTOCOL" });
    const circle = await list(
      (_r, response) =>
        void response.writeHead(200, { link: '</v2/team/app/tags/list?n=1000>; rel="next"' }).end(page(["a"])),
    );
    expect(circle.result).toMatchObject({ code: "REGISTRY_PROTOCOL" });
    expect(circle.seen.length).toBeLessThan(4);
  });
});
