/** Pushing blobs, by every way that distribution-spec knows, and refused where it must be. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import { createRng } from "../images/rng.ts";
import { callsTo } from "../net/call.ts";
import { startRegistry, type KitRegistry } from "./registry.ts";

const BLOB = createRng(1).bytes(2048);
const DIGEST = digestOf(BLOB);
let registry: KitRegistry;

beforeAll(async () => {
  registry = await startRegistry();
  await call("POST", `/v2/team/app/blobs/uploads/?digest=${DIGEST}`, {}, BLOB);
});
afterAll(() => registry.close());

const call = callsTo(() => registry.url);

async function startUpload(name = "team/app"): Promise<string> {
  const { status, headers } = await call("POST", `/v2/${name}/blobs/uploads/`);
  expect(status).toBe(202);
  return headers["location"] ?? "";
}

const blobPath = (digest: Digest, name = "team/app") => `/v2/${name}/blobs/${digest}`;
const put = (location: string, digest: string, body?: Uint8Array, headers: Record<string, string> = {}) =>
  call("PUT", `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`, headers, body);

describe("uploads", () => {
  const bytes = createRng(2).bytes(3000);
  const digest = digestOf(bytes);

  it("by one POST", async () => {
    const { status, headers } = await call("POST", `/v2/single/blobs/uploads/?digest=${digest}`, {}, bytes);
    expect([status, headers["location"]]).toEqual([201, blobPath(digest, "single")]);
    expect((await call("GET", blobPath(digest, "single"))).bytes.equals(bytes)).toBe(true);
  });

  it("by POST and PUT, also with sha512", async () => {
    const long = digestOf(bytes, "sha512");
    expect((await put(await startUpload(), long, bytes)).status).toBe(201);
    expect((await call("GET", blobPath(long))).bytes.equals(bytes)).toBe(true);
  });

  it("in chunks, the last of them in the PUT", async () => {
    let location = await startUpload();
    for (const [start, end] of [
      [0, 1000],
      [1000, 2000],
    ] as const) {
      const headers = { "content-range": `${start}-${end - 1}`, "content-type": "application/octet-stream" };
      const chunk = await call("PATCH", location, headers, bytes.subarray(start, end));
      expect([chunk.status, chunk.headers["range"]]).toEqual([202, `0-${end - 1}`]);
      location = chunk.headers["location"] ?? "";
    }
    const last = await put(location, digest, bytes.subarray(2000), { "content-range": "2000-2999" });
    expect(last.status).toBe(201);
  });

  it("out of order is 416 with a state from which to go on", async () => {
    const location = await startUpload();
    const chunk = await call("PATCH", location, { "content-range": "1000-1999" }, bytes.subarray(1000, 2000));
    expect([chunk.status, chunk.headers["range"]]).toEqual([416, "0-0"]);
    expect((await call("PATCH", location, { "content-range": "0-99" }, bytes.subarray(0, 100))).status).toBe(202);
    const state = await call("GET", location);
    expect([state.status, state.headers["range"]]).toEqual([204, "0-99"]);
    expect((await call("PATCH", location, { "content-range": "100-199" }, bytes.subarray(0, 5))).code()).toBe(
      "SIZE_INVALID",
    );
  });

  it("as a stream of unknown length", async () => {
    const location = await startUpload();
    const body = (async function* () {
      yield bytes.subarray(0, 10);
      yield bytes.subarray(10);
    })();
    expect((await call("PATCH", location, {}, body)).status).toBe(202);
    expect((await put(location, digest)).status).toBe(201);
  });

  it("cancelled ones are gone", async () => {
    const location = await startUpload();
    expect((await call("DELETE", location)).status).toBe(204);
    expect((await call("GET", location)).code()).toBe("BLOB_UPLOAD_UNKNOWN");
  });

  it("with a wrong digest are 400, each way", async () => {
    const wrong = digestOf("other");
    expect((await call("POST", `/v2/x/blobs/uploads/?digest=${wrong}`, {}, bytes)).code()).toBe("DIGEST_INVALID");
    expect((await put(await startUpload(), wrong, bytes)).status).toBe(400);
    const location = await startUpload();
    await call("PATCH", location, {}, bytes);
    expect((await put(location, wrong)).status).toBe(400);
    expect((await put(await startUpload(), "nonsense", bytes)).status).toBe(400);
    expect((await call("HEAD", blobPath(wrong, "x"))).status).toBe(404);
  });

  it("mount from another repository, from anywhere, or not at all", async () => {
    const from = (query: string) => call("POST", `/v2/mounted/blobs/uploads/?${query}`);
    expect((await from(`mount=${DIGEST}&from=nowhere`)).status).toBe(202);
    expect((await call("HEAD", blobPath(DIGEST, "mounted"))).status).toBe(404);
    expect((await from(`mount=${DIGEST}&from=team/app`)).status).toBe(201);
    expect((await call("HEAD", blobPath(DIGEST, "mounted"))).status).toBe(200);
    expect((await call("POST", `/v2/any/blobs/uploads/?mount=${DIGEST}`)).status).toBe(201);
    expect((await from(`mount=${digestOf("absent")}`)).status).toBe(202);
  });
});
