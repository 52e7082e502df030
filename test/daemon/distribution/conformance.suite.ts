/**
 * What every registry has to hold to, in the categories of the distribution specification's own conformance suite, over HTTP alone. It runs
 * against the daemon, the test kit's registry and a docker-registry, so that it is held to other people's work as well.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { MEDIA_TYPES } from "../../../src/oci/media-types.ts";
import { createRng } from "../../kit/images/rng.ts";
import { callsTo, type CallAnswer } from "../../kit/net/call.ts";

export interface ServedRegistry extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
}

/** What a registry may leave out. Default of all: it can. */
export interface Abilities {
  readonly anonymousMount?: boolean;
  readonly chunkOrder?: boolean;
  readonly customFields?: boolean;
  readonly referrers?: boolean;
  readonly sha512?: boolean;
  readonly singlePost?: boolean;
  readonly sparseIndexes?: boolean;
  readonly strictManifests?: boolean;
  readonly strictPaths?: boolean;
  readonly tagDelete?: boolean;
  readonly tagParameters?: boolean;
  readonly tagPaging?: boolean;
  readonly unsatisfiableRanges?: boolean;
}

const BLOB = createRng(1).bytes(2048);
const DIGEST = digestOf(BLOB);
const EMPTY = Buffer.from("{}");
const REPO = "conformance/one";
const OTHER = "conformance/two";
const OCTETS = { "content-type": "application/octet-stream" };

type Document = Readonly<Record<string, unknown>>;

/** A fault that nobody would expect in a name, and where it is told of. */
const HOSTILE_PATHS = [
  "/v2/../../etc/passwd",
  "/v2/a/../../../etc/manifests/x",
  "/v2/%2e%2e/%2e%2e/etc/passwd/manifests/latest",
  "/v2/a/%2e%2e/b/manifests/latest",
  "/v2/A/manifests/latest",
  "/v2/a//b/manifests/latest",
  "/v2/-a/manifests/latest",
  "/v2/a/manifests/..",
  "/v2/a/manifests/-x",
  "/v2/a/manifests/%00",
  "/v2/%00/tags/list",
  "/v2/%ff/tags/list",
  `/v2/${"a/".repeat(200)}a/tags/list`,
  "/v2/a/blobs/sha256:../../../../etc/passwd",
  "/v2/a/blobs/sha256:%2e%2e%2f%2e%2e",
  "/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e",
  "/v2/a/blobs/uploads/../../../x",
  "/v2/a/blobs/uploads/..%2f..%2fx",
] as const;

export function distributionConformance(start: () => Promise<ServedRegistry>, can: Abilities = {}): void {
  let served: ServedRegistry;
  const call = callsTo(() => served.url);

  beforeAll(async () => {
    served = await start();
    await push(REPO, BLOB);
    await push(REPO, EMPTY);
  });
  afterAll(() => served[Symbol.asyncDispose]());

  const blobPath = (digest: string, name = REPO): string => `/v2/${name}/blobs/${digest}`;
  const manifestPath = (reference: string, name = REPO): string => `/v2/${name}/manifests/${reference}`;
  const at = (location: string, query: string): string => `${location}${location.includes("?") ? "&" : "?"}${query}`;

  async function open(name = REPO, query = ""): Promise<string> {
    const { status, headers } = await call("POST", `/v2/${name}/blobs/uploads/${query}`);
    expect(status).toBe(202);
    return headers["location"] ?? "";
  }

  async function put(location: string, digest: string, body: Uint8Array = Buffer.alloc(0)): Promise<CallAnswer> {
    return call("PUT", at(location, `digest=${digest}`), OCTETS, body);
  }

  async function push(name: string, bytes: Uint8Array, digest = digestOf(bytes)): Promise<void> {
    expect((await put(await open(name), digest, bytes)).status).toBe(201);
  }

  async function pushDocument(
    reference: string,
    document: Document | Uint8Array,
    type: string = MEDIA_TYPES.ociManifest,
    name = REPO,
  ): Promise<CallAnswer> {
    const body = document instanceof Uint8Array ? document : Buffer.from(JSON.stringify(document));
    return call("PUT", manifestPath(reference, name), { "content-type": type }, body);
  }

  const described = (bytes: Uint8Array, mediaType: string): Document => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const manifestOf = (more: Document = {}): Document => ({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: described(EMPTY, "application/vnd.oci.empty.v1+json"),
    layers: [described(BLOB, MEDIA_TYPES.ociLayer)],
    ...more,
  });
  const bytesOf = (document: Document): Buffer => Buffer.from(JSON.stringify(document));

  async function expectBlob(bytes: Uint8Array, digest: string, name = REPO): Promise<void> {
    const answer = await call("GET", blobPath(digest, name));
    expect([answer.status, answer.bytes.equals(bytes)]).toEqual([200, true]);
  }

  describe("pull", () => {
    it("answers the base endpoint", async () => {
      expect((await call("GET", "/v2/")).status).toBe(200);
    });

    it("gives exact bytes by tag and by digest, and the same heads to HEAD", async () => {
      // Two spaces: nobody writes JSON anew on the way.
      const bytes = Buffer.from(JSON.stringify(manifestOf(), undefined, 3));
      expect((await pushDocument("exact", bytes)).status).toBe(201);
      for (const reference of ["exact", digestOf(bytes)]) {
        const get = await call("GET", manifestPath(reference), { accept: MEDIA_TYPES.ociManifest });
        expect(get.bytes.equals(bytes)).toBe(true);
        const head = await call("HEAD", manifestPath(reference), { accept: MEDIA_TYPES.ociManifest });
        for (const { status, headers } of [get, head]) {
          expect(status).toBe(200);
          expect(headers["docker-content-digest"]).toBe(digestOf(bytes));
          expect(headers["content-type"]).toBe(MEDIA_TYPES.ociManifest);
          expect(headers["content-length"]).toBe(String(bytes.length));
        }
        expect(head.bytes).toHaveLength(0);
      }
    });

    it("gives blobs and their sizes", async () => {
      await expectBlob(BLOB, DIGEST);
      const head = await call("HEAD", blobPath(DIGEST));
      expect([head.status, head.headers["content-length"], head.bytes.length]).toEqual([200, "2048", 0]);
    });

    it("says in its own words that something is not here", async () => {
      const absent = digestOf("absent");
      for (const [path, code] of [
        [manifestPath("none"), "MANIFEST_UNKNOWN"],
        [manifestPath(absent), "MANIFEST_UNKNOWN"],
        [blobPath(absent), "BLOB_UNKNOWN"],
      ] as const) {
        const answer = await call("GET", path);
        expect([path, answer.status, answer.code()]).toEqual([path, 404, code]);
        const head = await call("HEAD", path);
        expect([path, head.status, head.bytes.length]).toEqual([path, 404, 0]);
      }
    });

    it.each(HOSTILE_PATHS)("refuses %s", async (path) => {
      const { status } = await call("GET", path);
      expect(status).toBeGreaterThanOrEqual(can.strictPaths === false ? 300 : 400);
      if (can.strictPaths !== false) expect(status).toBeLessThan(500);
    });
  });

  describe("ranges", () => {
    it.each([
      ["500-1499", 500, 1499],
      ["500-", 500, 2047],
      ["-500", 1548, 2047],
      ["2000-5000", 2000, 2047],
      ["0-0", 0, 0],
    ])("%s is 206", async (range, first, last) => {
      const { status, headers, bytes } = await call("GET", blobPath(DIGEST), { range: `bytes=${range}` });
      expect([status, headers["content-range"]]).toEqual([206, `bytes ${first}-${last}/2048`]);
      expect(headers["content-length"]).toBe(String(last - first + 1));
      expect(bytes.equals(BLOB.subarray(first, last + 1))).toBe(true);
    });

    it.runIf(can.unsatisfiableRanges !== false).each(["500-0", "5000-10000"])("%s is 416", async (range) => {
      expect((await call("GET", blobPath(DIGEST), { range: `bytes=${range}` })).status).toBe(416);
    });

    it("come several at once, one part for each and in their order", async () => {
      const { status, headers, bytes } = await call("GET", blobPath(DIGEST), { range: "bytes=100-199,0-9,-1" });
      expect(status).toBe(206);
      const boundary = /^multipart\/byteranges; ?boundary="?([^"]+)"?$/i.exec(headers["content-type"] ?? "")?.[1];
      const parts = bytes.toString("latin1").split(`--${boundary}`).slice(1, -1);
      const wanted = [
        [100, 200],
        [0, 10],
        [2047, 2048],
      ] as const;
      expect(parts).toHaveLength(3);
      for (const [index, [start, end]] of wanted.entries()) {
        const [head = "", body = ""] = parts[index]!.split("\r\n\r\n", 2);
        expect(head.toLowerCase()).toContain(`content-range: bytes ${start}-${end - 1}/2048`);
        expect(parts[index]!.slice(parts[index]!.indexOf("\r\n\r\n") + 4, -2)).toBe(
          BLOB.toString("latin1", start, end),
        );
        expect(body.length).toBeGreaterThan(0);
      }
    });

    it("are not sent again to who has the blob", async () => {
      const etag = (await call("GET", blobPath(DIGEST))).headers["etag"];
      if (etag === undefined) return;
      expect((await call("GET", blobPath(DIGEST), { "if-none-match": etag })).status).toBe(304);
    });
  });

  describe("pushing blobs", () => {
    it.runIf(can.singlePost !== false)("in one POST", async () => {
      const bytes = createRng(10).bytes(1000);
      const digest = digestOf(bytes);
      const answer = await call("POST", `/v2/${REPO}/blobs/uploads/?digest=${digest}`, OCTETS, bytes);
      expect([answer.status, answer.headers["location"]]).toEqual([201, expect.stringContaining(blobPath(digest))]);
      await expectBlob(bytes, digest);
    });

    it("by POST and PUT", async () => {
      const bytes = createRng(11).bytes(70_000);
      await push(REPO, bytes);
      await expectBlob(bytes, digestOf(bytes));
    });

    it.each(["the PUT", "a PATCH"])("in chunks, the last of them in %s", async (last) => {
      const bytes = createRng(last.length).bytes(3000);
      let location = await open();
      for (const start of last === "a PATCH" ? [0, 1000, 2000] : [0, 1000]) {
        const headers = { ...OCTETS, "content-range": `${start}-${start + 999}` };
        const chunk = await call("PATCH", location, headers, bytes.subarray(start, start + 1000));
        expect([chunk.status, chunk.headers["range"]]).toEqual([202, `0-${start + 999}`]);
        location = chunk.headers["location"] ?? "";
      }
      const rest = last === "the PUT" ? bytes.subarray(2000) : Buffer.alloc(0);
      expect((await put(location, digestOf(bytes), rest)).status).toBe(201);
      await expectBlob(bytes, digestOf(bytes));
    });

    it.runIf(can.chunkOrder !== false)("refuses a chunk out of order, and tells where to go on", async () => {
      const bytes = createRng(13).bytes(2000);
      const location = await open();
      const first = await call("PATCH", location, { ...OCTETS, "content-range": "0-999" }, bytes.subarray(0, 1000));
      const next = first.headers["location"] ?? "";
      for (const range of ["1500-1999", "0-499"]) {
        const odd = await call("PATCH", next, { ...OCTETS, "content-range": range }, bytes.subarray(1500));
        expect([range, odd.status]).toEqual([range, 416]);
      }
      const state = await call("GET", next);
      expect([state.status, state.headers["range"]]).toEqual([204, "0-999"]);
      const rest = await call(
        "PATCH",
        state.headers["location"] ?? "",
        { ...OCTETS, "content-range": "1000-1999" },
        bytes.subarray(1000),
      );
      expect(rest.status).toBe(202);
      expect((await put(rest.headers["location"] ?? "", digestOf(bytes))).status).toBe(201);
    });

    it("as a stream of unknown length", async () => {
      const bytes = createRng(14).bytes(300_000);
      const body = (async function* () {
        for (let start = 0; start < bytes.length; start += 7777) yield bytes.subarray(start, start + 7777);
      })();
      const streamed = await call("PATCH", await open(), OCTETS, body);
      expect(streamed.status).toBe(202);
      expect((await put(streamed.headers["location"] ?? "", digestOf(bytes))).status).toBe(201);
      await expectBlob(bytes, digestOf(bytes));
    });

    it("forgets one that is cancelled", async () => {
      const location = await open();
      expect([202, 204]).toContain((await call("DELETE", location)).status);
      expect((await call("GET", location)).status).toBe(404);
    });

    it("refuses bytes that are not the digest's, each way, and knows nothing of them then", async () => {
      const bytes = createRng(15).bytes(1000);
      const wrong = digestOf("something else");
      if (can.singlePost !== false) {
        const single = await call("POST", `/v2/${REPO}/blobs/uploads/?digest=${wrong}`, OCTETS, bytes);
        expect([single.status, single.code()]).toEqual([400, "DIGEST_INVALID"]);
      }
      expect((await put(await open(), wrong, bytes)).status).toBe(400);
      const patched = await call("PATCH", await open(), OCTETS, bytes);
      expect((await put(patched.headers["location"] ?? "", wrong)).status).toBe(400);
      expect((await put(await open(), "nonsense", bytes)).status).toBe(400);
      for (const digest of [wrong, digestOf(bytes)]) expect((await call("HEAD", blobPath(digest))).status).toBe(404);
    });

    it("takes a blob without bytes", async () => {
      const nothing = Buffer.alloc(0);
      await push(REPO, nothing);
      await expectBlob(nothing, digestOf(nothing));
    });

    it.runIf(can.sha512 !== false)("takes sha512, announced or not", async () => {
      for (const query of ["?digest-algorithm=sha512", ""]) {
        const bytes = createRng(query.length + 20).bytes(500);
        const digest = digestOf(bytes, "sha512");
        expect((await put(await open(REPO, query), digest, bytes)).status).toBe(201);
        await expectBlob(bytes, digest);
      }
    });

    it("mounts what another repository has, and goes on with a push where it has not", async () => {
      const from = (query: string): Promise<CallAnswer> => call("POST", `/v2/${OTHER}/blobs/uploads/?${query}`);
      const lacking = await from(`mount=${digestOf("absent")}&from=${REPO}`);
      expect(lacking.status).toBe(202);
      expect(lacking.headers["location"]).toContain("/uploads/");
      expect((await call("HEAD", blobPath(DIGEST, OTHER))).status).toBe(404);
      const mounted = await from(`mount=${DIGEST}&from=${REPO}`);
      expect([mounted.status, mounted.headers["location"]]).toEqual([
        201,
        expect.stringContaining(blobPath(DIGEST, OTHER)),
      ]);
      await expectBlob(BLOB, DIGEST, OTHER);
    });

    it.runIf(can.anonymousMount !== false)("mounts without being told from where", async () => {
      const anonymous = await call("POST", `/v2/conformance/three/blobs/uploads/?mount=${DIGEST}`);
      expect(anonymous.status).toBe(201);
      await expectBlob(BLOB, DIGEST, "conformance/three");
    });

    it("once when two push the same at the same time", async () => {
      const bytes = createRng(16).bytes(200_000);
      await Promise.all([push(REPO, bytes), push(OTHER, bytes), push(REPO, bytes)]);
      for (const name of [REPO, OTHER]) await expectBlob(bytes, digestOf(bytes), name);
    });
  });

  describe("pushing manifests", () => {
    it("by tag and by digest, and tells where it is", async () => {
      const bytes = bytesOf(manifestOf({ annotations: { pushed: "twice" } }));
      const digest = digestOf(bytes);
      for (const reference of ["by-tag", digest]) {
        const { status, headers } = await pushDocument(reference, bytes);
        expect([status, headers["docker-content-digest"]]).toEqual([201, digest]);
        expect(headers["location"]).toContain(`/v2/${REPO}/manifests/`);
      }
    });

    it.runIf(can.customFields !== false)("keeps fields that nobody here knows", async () => {
      const bytes = bytesOf(manifestOf({ "org.example.custom": { deep: [1, null, "x"] }, artifactType: "test/x" }));
      expect((await pushDocument("custom", bytes)).status).toBe(201);
      expect((await call("GET", manifestPath("custom"), { accept: MEDIA_TYPES.ociManifest })).bytes.equals(bytes)).toBe(
        true,
      );
    });

    it("without layers, and with layers that are fetched from elsewhere", async () => {
      expect((await pushDocument("no-layers", manifestOf({ layers: [] }))).status).toBe(201);
      const foreign = {
        ...described(createRng(17).bytes(10), MEDIA_TYPES.ociForeignLayer),
        urls: ["https://elsewhere.example/layer"],
      };
      if (can.strictManifests === false) return;
      expect((await pushDocument("foreign", manifestOf({ layers: [foreign] }))).status).toBe(201);
    });

    it("takes indexes, and indexes of indexes", async () => {
      const manifest = bytesOf(manifestOf({ annotations: { of: "an index" } }));
      expect((await pushDocument(digestOf(manifest), manifest)).status).toBe(201);
      const index = bytesOf({
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.ociIndex,
        manifests: [
          { ...described(manifest, MEDIA_TYPES.ociManifest), platform: { os: "linux", architecture: "amd64" } },
        ],
      });
      expect((await pushDocument("index", index, MEDIA_TYPES.ociIndex)).status).toBe(201);
      const outer = bytesOf({
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.ociIndex,
        manifests: [{ ...described(index, MEDIA_TYPES.ociIndex), platform: { os: "linux", architecture: "amd64" } }],
      });
      expect((await pushDocument("outer", outer, MEDIA_TYPES.ociIndex)).status).toBe(201);
      const found = await call("GET", manifestPath("outer"), { accept: MEDIA_TYPES.ociIndex });
      expect(found.bytes.equals(outer)).toBe(true);
    });

    it("refuses what lacks its blobs, is not what it says, or is no manifest", async () => {
      const absent = manifestOf({ layers: [described(createRng(18).bytes(9), MEDIA_TYPES.ociLayer)] });
      const lacking = await pushDocument("bad", absent);
      expect([400, 404]).toContain(lacking.status);
      expect((await pushDocument("bad", Buffer.from("{"))).code()).toBe("MANIFEST_INVALID");
      expect((await pushDocument(digestOf("x"), bytesOf(manifestOf()))).code()).toBe("DIGEST_INVALID");
      expect((await call("HEAD", manifestPath("bad"))).status).toBe(404);
      if (can.strictManifests === false) return;
      expect(lacking.code()).toBe("MANIFEST_BLOB_UNKNOWN");
      expect((await pushDocument("bad", manifestOf(), MEDIA_TYPES.ociIndex)).code()).toBe("MANIFEST_INVALID");
      for (const odd of ["[]", "null", '"x"', `{"layers":{}}`, `{"schemaVersion":2,"config":{},"layers":[]}`]) {
        expect([odd, (await pushDocument("bad", Buffer.from(odd))).code()]).toEqual([odd, "MANIFEST_INVALID"]);
      }
      const two = manifestOf({ manifests: [] });
      expect((await pushDocument("bad", two)).code()).toBe("MANIFEST_INVALID");
    });

    it.runIf(can.strictManifests !== false)(
      "refuses one of more than 4 MiB, and takes one of nearly as much",
      async () => {
        const padded = (size: number): Buffer => {
          const bytes = bytesOf(manifestOf());
          return Buffer.concat([bytes.subarray(0, -1), Buffer.alloc(size - bytes.length, " "), Buffer.from("}")]);
        };
        expect((await pushDocument("large", padded(4 << 20))).status).toBe(201);
        expect((await pushDocument("larger", padded((4 << 20) + 1))).status).toBe(413);
        expect((await call("HEAD", manifestPath("larger"))).status).toBe(404);
      },
    );

    it.runIf(can.sparseIndexes !== false)("takes an index of which not all is here", async () => {
      const sparse = {
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.ociIndex,
        manifests: [described(Buffer.from("elsewhere"), MEDIA_TYPES.ociManifest)],
      };
      expect((await pushDocument("sparse", sparse, MEDIA_TYPES.ociIndex)).status).toBe(201);
    });

    it.runIf(can.sha512 !== false)("by a digest of sha512", async () => {
      const bytes = bytesOf(manifestOf({ annotations: { by: "sha512" } }));
      const digest = digestOf(bytes, "sha512");
      const pushed = await pushDocument(digest, bytes);
      expect([pushed.status, pushed.headers["docker-content-digest"]]).toEqual([201, digest]);
      expect((await call("GET", manifestPath(digest))).bytes.equals(bytes)).toBe(true);
    });

    it.runIf(can.tagParameters !== false)("by digest with tags beside", async () => {
      const bytes = bytesOf(manifestOf({ annotations: { tagged: "beside" } }));
      const digest = digestOf(bytes);
      const pushed = await call(
        "PUT",
        `${manifestPath(digest)}?tag=beside-1&tag=beside-2`,
        { "content-type": MEDIA_TYPES.ociManifest },
        bytes,
      );
      expect([pushed.status, pushed.headers["oci-tag"]]).toEqual([201, ["beside-1", "beside-2"]]);
      for (const tag of ["beside-1", "beside-2"]) {
        expect((await call("HEAD", manifestPath(tag))).headers["docker-content-digest"]).toBe(digest);
      }
      const odd = await call(
        "PUT",
        `${manifestPath(digest)}?tag=../x`,
        { "content-type": MEDIA_TYPES.ociManifest },
        bytes,
      );
      expect(odd.status).toBe(400);
    });
  });

  describe("listing", () => {
    it("of tags, sorted", async () => {
      const name = "conformance/tags";
      for (const bytes of [BLOB, EMPTY]) await push(name, bytes);
      for (const tag of ["c", "a", "b", "d"]) {
        expect((await pushDocument(tag, manifestOf(), MEDIA_TYPES.ociManifest, name)).status).toBe(201);
      }
      const list = async (query = ""): Promise<CallAnswer> => call("GET", `/v2/${name}/tags/list${query}`);
      const listed = (await list()).json();
      expect([listed["name"], [...(listed["tags"] as string[])].sort()]).toEqual([name, ["a", "b", "c", "d"]]);
      if (can.tagPaging === false) return;
      expect(listed["tags"]).toEqual(["a", "b", "c", "d"]);
      const collected: string[] = [];
      for (let next: string | undefined = `/v2/${name}/tags/list?n=3`; next !== undefined;) {
        const page = await call("GET", next);
        collected.push(...(page.json()["tags"] as string[]));
        next = /<([^>]+)>; rel="next"/.exec(page.headers["link"] ?? "")?.[1];
      }
      expect(collected).toEqual(["a", "b", "c", "d"]);
      expect((await list("?last=b")).json()["tags"]).toEqual(["c", "d"]);
      expect((await list("?n=1&last=aa")).json()["tags"]).toEqual(["b"]);
      expect((await list("?n=0")).json()["tags"]).toEqual([]);
      expect((await list("?n=-1")).status).toBe(400);
      expect((await call("GET", "/v2/conformance/none/tags/list")).code()).toBe("NAME_UNKNOWN");
    });

    it.runIf(can.referrers !== false)("of referrers, before and after their subject is here, filtered", async () => {
      const subject = bytesOf(manifestOf({ annotations: { is: "subject" } }));
      const refer = (artifactType?: string): Document =>
        manifestOf({
          subject: described(subject, MEDIA_TYPES.ociManifest),
          ...(artifactType !== undefined && { artifactType }),
          annotations: { referrer: artifactType ?? "plain" },
        });
      const list = async (query = ""): Promise<CallAnswer> =>
        call("GET", `/v2/${REPO}/referrers/${digestOf(subject)}${query}`);
      const none = await list();
      expect([none.status, none.headers["content-type"], none.json()["manifests"]]).toEqual([
        200,
        MEDIA_TYPES.ociIndex,
        [],
      ]);
      for (const type of ["test/one", "test/two", undefined]) {
        const bytes = bytesOf(refer(type));
        const pushed = await pushDocument(digestOf(bytes), bytes);
        expect([pushed.status, pushed.headers["oci-subject"]]).toEqual([201, digestOf(subject)]);
      }
      const index = bytesOf({
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.ociIndex,
        manifests: [],
        subject: described(subject, MEDIA_TYPES.ociManifest),
      });
      expect((await pushDocument(digestOf(index), index, MEDIA_TYPES.ociIndex)).status).toBe(201);
      expect((await pushDocument(digestOf(subject), subject)).status).toBe(201);
      const all = (await list()).json()["manifests"] as Document[];
      expect(new Map(all.map((entry) => [entry["digest"], entry]))).toEqual(
        new Map(
          ["test/one", "test/two", undefined]
            .map((type): [Digest, Document] => {
              const bytes = bytesOf(refer(type));
              return [
                digestOf(bytes),
                {
                  ...described(bytes, MEDIA_TYPES.ociManifest),
                  artifactType: type ?? "application/vnd.oci.empty.v1+json",
                  annotations: { referrer: type ?? "plain" },
                },
              ];
            })
            .concat([[digestOf(index), described(index, MEDIA_TYPES.ociIndex)]]),
        ),
      );
      const filtered = await list("?artifactType=test/two");
      expect(filtered.headers["oci-filters-applied"]).toBe("artifactType");
      expect(filtered.json()["manifests"]).toMatchObject([{ artifactType: "test/two" }]);
      await call("DELETE", manifestPath(digestOf(bytesOf(refer("test/two")))));
      expect((await list("?artifactType=test/two")).json()["manifests"]).toEqual([]);
      const odd = await call("GET", `/v2/${REPO}/referrers/sha256:zz`);
      expect([odd.status, odd.code()]).toEqual([400, "DIGEST_INVALID"]);
    });
  });

  describe("deleting", () => {
    it.runIf(can.tagDelete !== false)("a tag leaves the manifest", async () => {
      const bytes = bytesOf(manifestOf({ annotations: { loses: "a tag" } }));
      for (const tag of ["gone", "stays"]) await pushDocument(tag, bytes);
      expect((await call("DELETE", manifestPath("gone"))).status).toBe(202);
      expect((await call("HEAD", manifestPath("gone"))).status).toBe(404);
      expect((await call("DELETE", manifestPath("gone"))).status).toBe(404);
      for (const reference of ["stays", digestOf(bytes)]) {
        expect((await call("HEAD", manifestPath(reference))).status).toBe(200);
      }
    });

    it("a manifest takes its tags along", async () => {
      const bytes = bytesOf(manifestOf({ annotations: { is: "deleted" } }));
      await pushDocument("deleted", bytes);
      expect((await call("DELETE", manifestPath(digestOf(bytes)))).status).toBe(202);
      for (const reference of ["deleted", digestOf(bytes)]) {
        expect((await call("GET", manifestPath(reference))).status).toBe(404);
      }
      expect((await call("DELETE", manifestPath(digestOf(bytes)))).status).toBe(404);
    });

    it("a blob concerns one repository", async () => {
      const bytes = createRng(19).bytes(333);
      for (const name of [REPO, OTHER]) await push(name, bytes);
      expect((await call("DELETE", blobPath(digestOf(bytes)))).status).toBe(202);
      expect((await call("GET", blobPath(digestOf(bytes)))).status).toBe(404);
      await expectBlob(bytes, digestOf(bytes), OTHER);
      expect((await call("DELETE", blobPath(digestOf(bytes)))).status).toBe(404);
    });
  });
}
