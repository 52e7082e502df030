/** Each fault does to a plain HTTP client what it says, and the same seed does it again. */
import { onTestFinished, describe, expect, it } from "vitest";
import { request } from "undici";
import { rawExchange } from "../net/raw-exchange.ts";
import { createRng } from "../images/rng.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { startRegistry, type KitRegistry } from "../registry/registry.ts";
import type { Fault } from "./fault.ts";
import type { FaultRule } from "./fault-script.ts";
import { startFaultProxy, type FaultProxy } from "./fault-proxy.ts";

const BLOB = createRng(7).bytes(300_000);
const DIGEST = digestOf(BLOB);
const PATH = `/v2/repo/blobs/${DIGEST}`;

async function behind(rules: readonly FaultRule[], seed = 1): Promise<{ registry: KitRegistry; proxy: FaultProxy }> {
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const proxy = await startFaultProxy({ target: registry.host, rules, seed });
  onTestFinished(() => proxy.close());
  await request(`${registry.url}/v2/repo/blobs/uploads/?digest=${DIGEST}`, { method: "POST", body: BLOB });
  return { registry, proxy };
}

async function getBlob(fault: Fault | readonly Fault[], headers: readonly string[] = []) {
  const { proxy } = await behind([{ path: /\/blobs\//, fault }]);
  return rawExchange(proxy.host, `GET ${PATH}`, headers);
}

describe("without rules", () => {
  it("passes everything on and counts bytes", async () => {
    const { proxy } = await behind([]);
    const { head, body, ended } = await rawExchange(proxy.host, `GET ${PATH}`);
    expect(head).toContain("HTTP/1.1 200");
    expect(head.toLowerCase()).toContain(`docker-content-digest: ${DIGEST}`);
    expect(digestOf(body)).toBe(DIGEST);
    expect(ended).toBe("end");
    expect(proxy.bytesFor(/\/blobs\//)).toBe(BLOB.length);
  });

  it("lets the client address the registry by the proxy's name", async () => {
    const { proxy, registry } = await behind([]);
    registry.setQuirks({ uploadLocation: "absolute" });
    const { headers } = await request(`${proxy.url}/v2/repo/blobs/uploads/`, { method: "POST" });
    expect(headers["location"]).toContain(`http://${proxy.host}/`);
  });

  it("passes bodies of requests on", async () => {
    const { proxy, registry } = await behind([]);
    const body = createRng(8).bytes(200_000);
    const url = `${proxy.url}/v2/other/blobs/uploads/?digest=${digestOf(body)}`;
    expect((await request(url, { method: "POST", body })).statusCode).toBe(201);
    expect(registry.requests.at(-1)?.received).toBe(body.length);
  });
});

describe("answers of the proxy's own", () => {
  it.each([401, 403, 404, 429, 500, 502, 503, 509])("status %i", async (status) => {
    const { head, body } = await getBlob({ kind: "status", status, retryAfter: 7, body: "said so" });
    expect(head).toContain(`HTTP/1.1 ${status}`);
    expect(head.toLowerCase()).toContain("retry-after: 7");
    expect(body.toString()).toBe("said so");
  });

  it("status for HEAD has no body", async () => {
    const { proxy } = await behind([{ path: /blobs/, fault: { kind: "status", status: 503 } }]);
    const { head, body } = await rawExchange(proxy.host, `HEAD ${PATH}`);
    expect(head).toContain("HTTP/1.1 503");
    expect(body.length).toBe(0);
  });

  it("redirect to another origin, with path and query", async () => {
    const { proxy } = await behind([{ fault: { kind: "redirect", to: "http://127.0.0.1:1" } }]);
    const { head } = await rawExchange(proxy.host, `GET ${PATH}?ns=x`);
    expect(head).toContain("HTTP/1.1 307");
    expect(head).toContain(`location: http://127.0.0.1:1${PATH}?ns=x`);
  });

  it("reset before any header", async () => {
    const { bytes, ended } = await getBlob({ kind: "reset" });
    expect([bytes.length, ended]).toEqual([0, "ECONNRESET"]);
  });

  it("garbage", async () => {
    const { bytes, ended } = await getBlob({ kind: "garbage", bytes: "\x00garbage" });
    expect([bytes.toString(), ended]).toEqual(["\x00garbage", "end"]);
  });

  it("refused connections, until it accepts again on the same port", async () => {
    const { proxy } = await behind([]);
    await proxy.refuse();
    expect((await rawExchange(proxy.host, "GET /v2/")).ended).toBe("ECONNREFUSED");
    await proxy.accept();
    expect((await rawExchange(proxy.host, "GET /v2/")).head).toContain("200 OK");
  });
});

describe("spoilt answers", () => {
  it("drop: exactly so many bytes of the body that was promised in full, then the end", async () => {
    const { head, body, ended } = await getBlob({ kind: "drop", afterBytes: 100_001 });
    expect(head).toContain(`content-length: ${BLOB.length}`);
    expect(body.equals(BLOB.subarray(0, 100_001))).toBe(true);
    expect(ended).toBe("end");
  });

  it("drop by reset: no more than so many bytes", async () => {
    const { body, ended } = await getBlob({ kind: "drop", afterBytes: 1000, how: "reset" });
    expect(body.length).toBeLessThanOrEqual(1000);
    expect(ended).toBe("ECONNRESET");
  });

  it("drop after no byte at all still sends the head", async () => {
    const { head, body } = await getBlob({ kind: "drop", afterBytes: 0 });
    expect(head).toContain("HTTP/1.1 200");
    expect(body.length).toBe(0);
  });

  it("stall: so many bytes, then silence on an open connection", async () => {
    const { proxy } = await behind([{ path: /blobs/, fault: { kind: "stall", afterBytes: 1000 } }]);
    const { body, ended } = await rawExchange(proxy.host, `GET ${PATH}`, [], { stopAfterBody: 1000 });
    expect([body.length, ended]).toEqual([1000, "stopped"]);
  });

  it("truncate: well-formed and short", async () => {
    const { head, body, ended } = await getBlob({ kind: "truncate", toBytes: 1234 });
    expect(head).toContain("content-length: 1234");
    expect(body.equals(BLOB.subarray(0, 1234))).toBe(true);
    expect(ended).toBe("end");
  });

  it("flip: one bit of one byte", async () => {
    const { body } = await getBlob({ kind: "flip", atByte: 70_000 });
    expect(body.length).toBe(BLOB.length);
    expect([...body.entries()].filter(([at, byte]) => byte !== BLOB[at])).toEqual([[70_000, (BLOB[70_000] ?? 0) ^ 1]]);
  });

  it("append: more bytes than there are", async () => {
    const { head, body } = await getBlob({ kind: "append", bytes: 10 });
    expect(head).toContain(`content-length: ${BLOB.length + 10}`);
    expect(body.length).toBe(BLOB.length + 10);
  });

  it("ignoreRange: 200 and everything", async () => {
    const { head, body } = await getBlob({ kind: "ignoreRange" }, ["Range: bytes=5-9"]);
    expect(head).toContain("HTTP/1.1 200");
    expect(body.length).toBe(BLOB.length);
  });

  it("contentRange: a lie about what the bytes are", async () => {
    const { head, body } = await getBlob({ kind: "contentRange", value: "bytes 0-4/5" }, ["Range: bytes=5-9"]);
    expect(head).toContain("HTTP/1.1 206");
    expect(head).toContain("content-range: bytes 0-4/5");
    expect(body.equals(BLOB.subarray(5, 10))).toBe(true);
  });

  it("chunked: no length, and a drop shows as a missing last chunk", async () => {
    const whole = await getBlob({ kind: "chunked" });
    expect(whole.head).not.toContain("content-length");
    expect(whole.head.toLowerCase()).toContain("transfer-encoding: chunked");
    expect(whole.body.toString("latin1").endsWith("0\r\n\r\n")).toBe(true);
    const broken = await getBlob([{ kind: "chunked" }, { kind: "drop", afterBytes: 10 }]);
    expect(broken.body.toString("latin1").endsWith("0\r\n\r\n")).toBe(false);
  });

  it("headers: laid over or taken away", async () => {
    const { head } = await getBlob({ kind: "headers", headers: { "Docker-Content-Digest": undefined, "x-new": "1" } });
    expect(head.toLowerCase()).not.toContain("docker-content-digest");
    expect(head).toContain("x-new: 1");
  });

  it("slow: all of it, but not at once", async () => {
    const started = performance.now();
    const { body } = await getBlob([
      { kind: "slow", bytesPerSecond: 20_000 },
      { kind: "truncate", toBytes: 2000 },
    ]);
    expect(body.length).toBe(2000);
    expect(performance.now() - started).toBeGreaterThan(80);
  });

  it("latency: waits before it asks the registry", async () => {
    const started = performance.now();
    expect((await getBlob({ kind: "latency", ms: 60 })).body.length).toBe(BLOB.length);
    expect(performance.now() - started).toBeGreaterThan(55);
  });
});

describe("spoilt requests", () => {
  it("loseAnswer: the registry did it, the client does not know", async () => {
    const { proxy, registry } = await behind([{ method: "POST", fault: { kind: "loseAnswer" } }]);
    const before = registry.requests.length;
    const { bytes, ended } = await rawExchange(proxy.host, "POST /v2/repo/blobs/uploads/", ["Content-Length: 0"]);
    expect([bytes.length, ended]).toEqual([0, "ECONNRESET"]);
    expect(registry.requests[before]?.status).toBe(202);
  });

  it("dropUpload: so many bytes reach the registry, which keeps them", async () => {
    const { proxy, registry } = await behind([{ method: "PATCH", fault: { kind: "dropUpload", afterBytes: 50_000 } }]);
    const { headers } = await request(`${proxy.url}/v2/repo/blobs/uploads/`, { method: "POST" });
    const location = String(headers["location"]);
    const { ended } = await rawExchange(proxy.host, `PATCH ${location}`, [`Content-Length: ${BLOB.length}`], {
      body: BLOB,
    });
    expect(ended).not.toBe("end");
    await expect.poll(() => registry.requests.at(-1)?.aborted).toBe(true);
    expect(registry.requests.at(-1)?.received).toBe(50_000);
    const status = await request(`${proxy.url}${location}`);
    expect([status.statusCode, status.headers["range"]]).toEqual([204, "0-49999"]);
  });
});

const statuses = async (proxy: FaultProxy, count: number, path = PATH) => {
  const seen: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const { statusCode, body } = await request(`${proxy.url}${path}`, { method: "HEAD" });
    await body.dump();
    seen.push(statusCode);
  }
  return seen;
};

describe("when rules strike", () => {
  const teapot = { kind: "status", status: 418 } as const;

  it("the nth, several, and spans", async () => {
    const { proxy } = await behind([{ path: /blobs/, nth: 2, fault: teapot }]);
    expect(await statuses(proxy, 3)).toEqual([200, 418, 200]);
    proxy.setRules([{ path: /blobs/, nth: [1, 3], fault: teapot }]);
    expect(await statuses(proxy, 4)).toEqual([418, 200, 418, 200]);
    proxy.setRules([{ path: /blobs/, nth: { from: 2, to: 6, every: 2 }, fault: teapot }]);
    expect(await statuses(proxy, 8)).toEqual([200, 418, 200, 418, 200, 418, 200, 200]);
  });

  it("per path, and by method", async () => {
    const { proxy } = await behind([{ method: "HEAD", nth: 1, per: "path", fault: teapot }]);
    expect(await statuses(proxy, 2)).toEqual([418, 200]);
    expect(await statuses(proxy, 2, "/v2/")).toEqual([418, 200]);
    expect((await request(`${proxy.url}${PATH}`)).statusCode).toBe(200);
  });

  it("by chance, repeatably and whatever else happens in between", async () => {
    const rules = [{ path: /blobs/, probability: 0.5, fault: teapot }];
    const { proxy } = await behind(rules, 42);
    const first = await statuses(proxy, 30);
    proxy.setRules(rules, 42);
    await statuses(proxy, 3, "/v2/");
    expect(await statuses(proxy, 30)).toEqual(first);
    expect(new Set(first)).toEqual(new Set([200, 418]));
    proxy.setRules(rules, 43);
    expect(await statuses(proxy, 30)).not.toEqual(first);
  });

  it("only on ranged requests", async () => {
    const { proxy } = await behind([{ ranged: true, fault: teapot }]);
    expect((await request(`${proxy.url}${PATH}`)).statusCode).toBe(200);
    expect((await request(`${proxy.url}${PATH}`, { headers: { range: "bytes=0-1" } })).statusCode).toBe(418);
  });

  it("tells the script and what it did, for replay", async () => {
    const { proxy } = await behind([{ path: /blobs/, nth: 1, fault: teapot }], 9);
    await statuses(proxy, 2);
    expect(proxy.describe().split("\n")).toEqual([
      "faults with seed 9:",
      '  0: {"path":"/blobs/","nth":1,"fault":{"kind":"status","status":418}}',
      `  request 0 HEAD ${PATH}: rule 0 status`,
    ]);
  });
});
