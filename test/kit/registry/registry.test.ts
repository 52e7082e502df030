/** The categories of the distribution conformance suite, as far as clients of this project meet them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { buildImage, buildIndex, type KitImage } from "../images/build-image.ts";
import { pushImage } from "../images/push-image.ts";
import { createRng } from "../images/rng.ts";
import { file } from "../trees/tree-node.ts";
import { callsTo } from "../net/call.ts";
import { startRegistry, type KitRegistry } from "./registry.ts";

const BLOB = createRng(1).bytes(2048);
const DIGEST = digestOf(BLOB);
let registry: KitRegistry;
let image: KitImage;

beforeAll(async () => {
  registry = await startRegistry();
  image = await buildImage({ layers: [[file("a", "1")], [file("b", "2")]] });
  await pushImage(registry.host, "team/app", "v1", image);
  await call("POST", `/v2/team/app/blobs/uploads/?digest=${DIGEST}`, {}, BLOB);
});
afterAll(() => registry.close());

const call = callsTo(() => registry.url);
const blobPath = (digest: Digest, name = "team/app") => `/v2/${name}/blobs/${digest}`;

describe("pull", () => {
  it("answers the base endpoint", async () => {
    expect((await call("GET", "/v2/")).status).toBe(200);
  });

  it("gives manifests by tag and digest with their exact bytes", async () => {
    for (const reference of ["v1", image.digest]) {
      const get = await call("GET", `/v2/team/app/manifests/${reference}`);
      expect(get.bytes.equals(image.bytes)).toBe(true);
      const head = await call("HEAD", `/v2/team/app/manifests/${reference}`);
      for (const { status, headers } of [get, head]) {
        expect(status).toBe(200);
        expect(headers["docker-content-digest"]).toBe(image.digest);
        expect(headers["content-type"]).toBe(image.descriptor.mediaType);
        expect(headers["content-length"]).toBe(String(image.bytes.length));
      }
    }
  });

  it("gives blobs, and their size to HEAD", async () => {
    expect((await call("GET", blobPath(DIGEST))).bytes.equals(BLOB)).toBe(true);
    const { headers, status } = await call("HEAD", blobPath(DIGEST));
    expect([status, headers["content-length"], headers["accept-ranges"]]).toEqual([200, "2048", "bytes"]);
  });

  it("has coded errors for what is not there", async () => {
    const absent = digestOf("absent");
    for (const [path, code] of [
      [`/v2/team/app/manifests/none`, "MANIFEST_UNKNOWN"],
      [`/v2/team/app/manifests/${absent}`, "MANIFEST_UNKNOWN"],
      [`/v2/other/manifests/v1`, "MANIFEST_UNKNOWN"],
      [blobPath(absent), "BLOB_UNKNOWN"],
      [blobPath(DIGEST, "other"), "BLOB_UNKNOWN"],
      ["/v2/other/tags/list", "NAME_UNKNOWN"],
    ] as const) {
      const answer = await call("GET", path);
      expect([path, answer.status, answer.code()]).toEqual([path, 404, code]);
    }
    expect((await call("GET", "/v2/Upper/tags/list")).code()).toBe("NAME_INVALID");
    expect((await call("GET", "/v2/team/app/blobs/sha256:zz")).code()).toBe("DIGEST_INVALID");
    expect((await call("GET", "/v2/a/../../etc/manifests/x")).status).toBe(404);
    expect((await call("GET", "/v2/%ff/tags/list")).status).toBe(400);
    const bad = await call("PUT", "/v2/team/app/manifests/sha256:1234", {}, "{}");
    expect([bad.status, bad.code()]).toEqual([400, "DIGEST_INVALID"]);
  });
});

describe("ranges", () => {
  it.each([
    ["bytes=500-1499", 500, 1499],
    ["bytes=500-", 500, 2047],
    ["bytes=-500", 1548, 2047],
    ["bytes=2000-5000", 2000, 2047],
    ["bytes=-5000", 0, 2047],
    ["bytes=0-0", 0, 0],
  ])("%s is 206", async (range, start, end) => {
    const { status, headers, bytes } = await call("GET", blobPath(DIGEST), { range });
    expect([status, headers["content-range"]]).toEqual([206, `bytes ${start}-${end}/2048`]);
    expect(headers["content-length"]).toBe(String(end - start + 1));
    expect(bytes.equals(BLOB.subarray(start, end + 1))).toBe(true);
  });

  it.each(["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0"])("%s is 416", async (range) => {
    const { status, headers } = await call("GET", blobPath(DIGEST), { range });
    expect([status, headers["content-range"]]).toEqual([416, "bytes */2048"]);
  });

  it.each(["bytes=a-b", "lines=1-2", "bytes=-"])("%s is no range, so everything comes", async (range) => {
    expect((await call("GET", blobPath(DIGEST), { range })).status).toBe(200);
  });

  it("sends several as multipart/byteranges", async () => {
    const { status, headers, bytes } = await call("GET", blobPath(DIGEST), { range: "bytes=0-9, 100-199" });
    expect(status).toBe(206);
    const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(headers["content-type"] ?? "")?.[1];
    const text = bytes.toString("latin1");
    expect(text.split(`--${boundary}`)).toHaveLength(4);
    expect(text).toContain("content-range: bytes 100-199/2048\r\n\r\n" + BLOB.toString("latin1", 100, 200) + "\r\n--");
    expect(headers["content-length"]).toBe(String(bytes.length));
  });

  it("knows that an empty blob has none", async () => {
    const empty = digestOf("");
    expect((await call("POST", `/v2/team/app/blobs/uploads/?digest=${empty}`)).status).toBe(201);
    const whole = await call("GET", blobPath(empty));
    expect([whole.status, whole.bytes.length]).toEqual([200, 0]);
    expect((await call("GET", blobPath(empty), { range: "bytes=0-" })).status).toBe(416);
  });
});

describe("manifests", () => {
  const type = "application/vnd.oci.image.manifest.v1+json";

  it("are refused when bytes, types or references do not fit", async () => {
    const push = async (reference: string, body: string, contentType = type) =>
      (await call("PUT", `/v2/team/app/manifests/${reference}`, { "content-type": contentType }, body)).code();
    expect(await push("bad", "{")).toBe("MANIFEST_INVALID");
    expect(await push("bad", `{"mediaType":"${type}"}`, "application/json")).toBe("MANIFEST_INVALID");
    expect(await push(digestOf("x"), "{}")).toBe("DIGEST_INVALID");
    const layers = JSON.stringify({ layers: [{ digest: digestOf("absent") }] });
    expect(await push("bad", layers)).toBe("MANIFEST_BLOB_UNKNOWN");
    const children = JSON.stringify({ manifests: [{ digest: digestOf("absent") }] });
    expect(await push("bad", children, "application/vnd.oci.image.index.v1+json")).toBe("MANIFEST_BLOB_UNKNOWN");
    const huge = await call("PUT", "/v2/team/app/manifests/bad", { "content-type": type }, "x".repeat(5 << 20));
    expect(huge.status).toBe(413);
  });

  it("by digest can take tags along", async () => {
    const path = `/v2/team/app/manifests/${image.digest}?tag=x&tag=y`;
    const { status, headers } = await call("PUT", path, { "content-type": type }, image.bytes);
    expect([status, headers["oci-tag"]]).toEqual([201, ["x", "y"]]);
    expect((await call("HEAD", "/v2/team/app/manifests/y")).headers["docker-content-digest"]).toBe(image.digest);
  });

  it("and indexes over several platforms", async () => {
    const arm = await buildImage({
      layers: [[file("arm")]],
      platform: { os: "linux", architecture: "arm64", variant: "v8" },
    });
    const index = buildIndex([image, arm]);
    await pushImage(registry.host, "multi", "v1", index);
    const { manifests } = (await call("GET", "/v2/multi/manifests/v1")).json() as unknown as { manifests: unknown[] };
    expect(manifests).toMatchObject([{ digest: image.digest }, { platform: { architecture: "arm64", variant: "v8" } }]);
  });
});

describe("tags", () => {
  it("come sorted, in pages", async () => {
    for (const tag of ["c", "a", "b"]) await pushImage(registry.host, "tags", tag, image);
    expect((await call("GET", "/v2/tags/tags/list")).json()).toEqual({ name: "tags", tags: ["a", "b", "c"] });
    const page = await call("GET", "/v2/tags/tags/list?n=2");
    expect(page.json()["tags"]).toEqual(["a", "b"]);
    expect(page.headers["link"]).toBe('</v2/tags/tags/list?n=2&last=b>; rel="next"');
    const rest = await call("GET", "/v2/tags/tags/list?n=2&last=b");
    expect([rest.json()["tags"], rest.headers["link"]]).toEqual([["c"], undefined]);
  });
});

describe("referrers", () => {
  it("are listed by subject, filtered, and gone with their manifest", async () => {
    const subject = { mediaType: image.descriptor.mediaType, digest: image.digest, size: image.descriptor.size };
    const one = await buildImage({ layers: [], subject, artifactType: "test/one", annotations: { k: "v" } });
    const two = await buildImage({ layers: [], subject });
    await pushImage(registry.host, "refs", "one", one);
    const pushed = await call(
      "PUT",
      `/v2/refs/manifests/${one.digest}`,
      { "content-type": one.descriptor.mediaType },
      one.bytes,
    );
    expect(pushed.headers["oci-subject"]).toBe(image.digest);
    await pushImage(registry.host, "refs", "two", two);
    const list = (query = "") => call("GET", `/v2/refs/referrers/${image.digest}${query}`);
    const all = (await list()).json() as unknown as { manifests: { digest: string; artifactType: string }[] };
    expect(new Map(all.manifests.map(({ digest, artifactType }) => [digest, artifactType]))).toEqual(
      new Map([
        [one.digest, "test/one"],
        [two.digest, "application/vnd.oci.image.config.v1+json"],
      ]),
    );
    const filtered = await list("?artifactType=test/one");
    expect(filtered.headers["oci-filters-applied"]).toBe("artifactType");
    expect(filtered.headers["content-type"]).toBe("application/vnd.oci.image.index.v1+json");
    expect(filtered.json()["manifests"]).toMatchObject([{ digest: one.digest, annotations: { k: "v" } }]);
    await call("DELETE", `/v2/refs/manifests/${one.digest}`);
    expect((await list()).json()["manifests"]).toHaveLength(1);
    const none = await call("GET", `/v2/refs/referrers/${digestOf("nobody")}`);
    expect([none.status, none.json()["manifests"]]).toEqual([200, []]);
  });
});

describe("deletion", () => {
  it("of a tag leaves the manifest, of a manifest takes its tags along", async () => {
    for (const tag of ["one", "two"]) await pushImage(registry.host, "gone", tag, image);
    expect((await call("DELETE", "/v2/gone/manifests/one")).status).toBe(202);
    expect((await call("HEAD", "/v2/gone/manifests/one")).status).toBe(404);
    expect((await call("HEAD", `/v2/gone/manifests/${image.digest}`)).status).toBe(200);
    expect((await call("DELETE", `/v2/gone/manifests/${image.digest}`)).status).toBe(202);
    expect((await call("HEAD", "/v2/gone/manifests/two")).status).toBe(404);
    expect((await call("DELETE", "/v2/gone/manifests/two")).status).toBe(404);
  });

  it("of a blob concerns this repository only", async () => {
    const layer = image.layers[0]?.descriptor.digest ?? DIGEST;
    await pushImage(registry.host, "gone/too", "v", image);
    expect((await call("DELETE", blobPath(layer, "gone/too"))).status).toBe(202);
    expect((await call("HEAD", blobPath(layer, "gone/too"))).status).toBe(404);
    expect((await call("HEAD", blobPath(layer))).status).toBe(200);
    expect((await call("DELETE", blobPath(layer, "gone/too"))).status).toBe(404);
  });
});

describe("what it keeps", () => {
  it("is there again after a restart on the same directory and port", async () => {
    const { dir, host, port } = registry;
    const first = await startRegistry({ dir: `${dir}/nested` });
    await pushImage(first.host, "kept", "v", image);
    await first.close();
    await using again = await startRegistry({ dir: first.dir, port: first.port });
    expect(again.host).toBe(first.host);
    expect((await call("GET", `${again.url}/v2/kept/manifests/v`)).status).toBe(200);
    expect([host, port]).toEqual([registry.host, registry.port]);
  });

  it("and what it was asked is logged", async () => {
    registry.clearRequests();
    await call("GET", `${blobPath(DIGEST)}?ns=x`, { range: "bytes=0-9" });
    expect(registry.requests).toMatchObject([
      { method: "GET", path: blobPath(DIGEST), status: 206, received: 0, sent: 10, aborted: false },
    ]);
    expect(registry.requests[0]?.url).toContain("?ns=x");
  });
});
