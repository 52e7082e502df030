/** A blob that breaks in the middle goes on at the byte, wherever it can be had; what can't succeed is not tried again. */
import { createServer } from "node:net";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fakeClock } from "../../test/kit/http/fake-clock.ts";
import { scriptedServer, type Script, type ScriptedServer } from "../../test/kit/http/scripted-server.ts";
import { at, collect, describeBlob, eventLog, noise, testClient } from "../../test/kit/http/test-client.ts";
import { listen } from "../../test/kit/net/listen.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import type { BlobRange } from "./blob-source.ts";
import type { RegistryOptions } from "./options.ts";
import { networkFailure } from "./transport/network-failure.ts";

const BLOB = noise(400_000);
const DESCRIPTOR = describeBlob(BLOB);
const LAST = BLOB.length - 1;

function wanted(range: string | undefined): BlobRange {
  const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? "");
  return match === null ? { start: 0, end: BLOB.length } : { start: Number(match[1]), end: Number(match[2]) + 1 };
}

/** Answers honestly, but breaks the connection after `bytes` of the body. */
function serve(bytes = Infinity): Script {
  return (request, response) => {
    const { start, end } = wanted(request.headers.range);
    const length = { "content-length": end - start };
    if (request.headers.range === undefined) response.writeHead(200, length);
    else response.writeHead(206, { ...length, "content-range": `bytes ${start}-${end - 1}/${BLOB.length}` });
    if (start + bytes >= end) return response.end(BLOB.subarray(start, end));
    return response.write(BLOB.subarray(start, start + bytes), () => response.socket?.end());
  };
}

async function readBehind(mirrors: readonly Script[], registry: Script, options: RegistryOptions = {}) {
  await using servers = new AsyncDisposableStack();
  const start = async (script: Script): Promise<ScriptedServer> => servers.use(await scriptedServer(script));
  const upstream = await start(registry);
  const all = await Promise.all(mirrors.map(start));
  const dir = servers.use(await tempDir("varve-failover-"));
  await mkdir(join(dir.path, upstream.host));
  const hosts = all.map(({ url }) => `[host."${url}"]\n`).join("");
  await writeFile(join(dir.path, upstream.host, "hosts.toml"), `server = "${upstream.url}"\n${hosts}`);
  const clock = fakeClock();
  const client = servers.use(testClient({ clock, hostsDir: dir.path, ...options }));
  const { events, onEvent } = eventLog();
  const bytes = await collect(client.blobs(at(upstream.host)).readBlob(DESCRIPTOR, { onEvent })).catch(
    (error: unknown) => error as Error,
  );
  return {
    whole: Buffer.isBuffer(bytes) && bytes.equals(BLOB),
    error: bytes,
    asked: [...all, upstream].map(({ seen }) => seen.map(({ headers }) => headers.range ?? "all")),
    slept: clock.slept,
    failovers: events.filter(({ type }) => type === "failover").length,
    received: events.reduce((sum, event) => sum + (event.type === "received" ? event.bytes : 0), 0),
    reasons: events.flatMap((event) => (event.type === "retry" ? [event.reason] : [])),
  };
}

describe("a mirror that breaks in the middle of a body", () => {
  const first = 100_000;
  const thereafter: Record<string, Script> = {
    "fails with 503": (_request, response) => response.writeHead(503).end(),
    "hangs up": (_request, response) => response.destroy(),
    "has spent its quota": (_request, response) => response.writeHead(509).end(),
    "limits the rate": (_request, response) => response.writeHead(429, { "retry-after": "100" }).end(),
    denies: (_request, response) => response.writeHead(403).end(),
    "has lost it": (_request, response) => response.writeHead(404).end(),
    "sends nothing of the body": (_request, response) => {
      response.writeHead(206, {
        "content-range": `bytes ${first}-${LAST}/${BLOB.length}`,
        "content-length": LAST + 1 - first,
      });
      response.flushHeaders();
      setTimeout(() => response.socket?.end(), 5);
    },
  };
  for (const [what, script] of Object.entries(thereafter)) {
    it(`and then ${what} is left to the next one, which goes on at the byte`, async () => {
      const result = await readBehind(
        [
          (request, response, nth) =>
            nth === 0 ? serve(first)(request, response, nth) : script(request, response, nth),
        ],
        serve(),
      );
      expect(result).toMatchObject({ whole: true, failovers: 1, received: BLOB.length });
      const range = `bytes=${first}-${LAST}`;
      expect(result.asked).toEqual([["all", range], [range]]);
      // One short wait before the mirror is asked again, none before the next is.
      expect(result.slept).toEqual([250]);
    });
  }

  it("again and again after a few bytes is left too, though it never gives nothing", async () => {
    const result = await readBehind([serve(10_000)], serve());
    expect(result).toMatchObject({ whole: true, failovers: 1, received: BLOB.length });
    expect(result.asked).toEqual([["all", "bytes=10000-399999", "bytes=20000-399999"], ["bytes=30000-399999"]]);
  });

  it("is all there is: then it is resumed as long as it gives anything", async () => {
    const result = await readBehind([], serve(10_000), { retries: 1 });
    expect(result).toMatchObject({ whole: true, received: BLOB.length });
    expect(result.asked[0]).toHaveLength(40);
  });

  it("is followed along the whole chain, each from where the last one broke", async () => {
    const once =
      (bytes: number): Script =>
      (request, response, nth) =>
        nth === 0 ? serve(bytes)(request, response, nth) : response.destroy();
    const result = await readBehind([once(100_000), once(50_000)], serve());
    expect(result).toMatchObject({ whole: true, failovers: 2, received: BLOB.length });
    expect(result.asked[1]).toEqual(["bytes=100000-399999", "bytes=150000-399999"]);
    expect(result.asked[2]).toEqual(["bytes=150000-399999"]);
  });

  it("and a registry that is down for a while are both asked again, round by round", async () => {
    const down: Script = (_request, response) => response.writeHead(502).end();
    const result = await readBehind(
      [(request, response, nth) => (nth === 0 ? serve(first)(request, response, nth) : down(request, response, nth))],
      (request, response, nth) => (nth < 2 ? down(request, response, nth) : serve()(request, response, nth)),
    );
    expect(result).toMatchObject({ whole: true, received: BLOB.length });
    expect(result.slept).toEqual([250, 500, 1000]);
  });
});

describe("a spent quota", () => {
  it("of a mirror is no reason to wait while the registry has the blob", async () => {
    const result = await readBehind([(_request, response) => response.writeHead(509).end()], serve());
    expect(result).toMatchObject({ whole: true, failovers: 1, slept: [] });
  });

  it("of the registry is waited for when no mirror has the blob", async () => {
    const result = await readBehind([(_request, response) => response.writeHead(404).end()], (request, response, nth) =>
      nth === 0 ? response.writeHead(503).end("Egress is over the account limit") : serve()(request, response, nth),
    );
    expect(result).toMatchObject({ whole: true, slept: [5000] });
  });
});

describe("a signed URL that expires in the middle of a body", () => {
  it("is asked for anew, and goes on at the byte", async () => {
    await using store = await scriptedServer((request, response, nth) => {
      if (request.url.endsWith("sig=0") && nth > 0) return void response.writeHead(403).end("Request has expired");
      return serve(nth === 0 ? 150_000 : Infinity)(request, response, nth);
    });
    const result = await readBehind([], (_request, response, nth) =>
      response.writeHead(307, { location: `${store.url}/blob?sig=${nth}` }).end(),
    );
    expect(result).toMatchObject({ whole: true, received: BLOB.length });
    expect(store.seen.map(({ url, headers }) => `${url} ${headers.range ?? "all"}`)).toContain(
      `/blob?sig=1 bytes=150000-${LAST}`,
    );
  });
});

describe("what cannot succeed", () => {
  const never = { slept: [], reasons: [] };

  it("is a blob that nobody has: each is asked once", async () => {
    const gone: Script = (_request, response) => response.writeHead(404).end();
    const result = await readBehind([gone, gone], gone);
    expect(result).toMatchObject({ ...never, asked: [["all"], ["all"], ["all"]], error: { code: "BLOB_UNKNOWN" } });
  });

  it("is a token that is refused although it is new", async () => {
    await using tokens = await scriptedServer((_request, response) => response.end('{"token":"t"}'));
    const result = await readBehind([], (_request, response) =>
      response.writeHead(401, { "www-authenticate": `Bearer realm="${tokens.url}/token",service="s"` }).end(),
    );
    expect(result).toMatchObject({ ...never, error: { code: "UNAUTHORIZED" } });
    expect(result.asked[0]?.length).toBeLessThanOrEqual(3);
  });

  it("is a denial without a word of quotas", async () => {
    const result = await readBehind([], (_request, response) => response.writeHead(403).end());
    expect(result).toMatchObject({ ...never, asked: [["all"]], error: { code: "DENIED" } });
  });
});

describe("a host that cannot be reached", () => {
  it("because nothing listens is tried again, and told in words", async () => {
    const gone = await listen(createServer());
    await gone.close();
    const clock = fakeClock();
    await using client = testClient({ clock, retries: 2 });
    const { events, onEvent } = eventLog();
    await expect(collect(client.blobs(at(gone.host)).readBlob(DESCRIPTOR, { onEvent }))).rejects.toMatchObject({
      code: "REGISTRY_UNREACHABLE",
      message: expect.stringContaining("connection refused"),
    });
    expect(events.filter(({ type }) => type === "retry")).toEqual(
      [1, 2].map(() =>
        expect.objectContaining({
          reason: expect.stringContaining("connection refused"),
        }),
      ),
    );
    expect(clock.slept).toEqual([250, 500]);
  });

  it("names a proxy that fails on the way", () => {
    const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED", address: "192.0.2.1", port: 3128 });
    const unknown = Object.assign(new Error("getaddrinfo"), { code: "ENOTFOUND", hostname: "proxy.invalid" });
    const messages = [refused, unknown].map((error) => networkFailure(error, "registry.invalid", "blob").message);
    expect(messages).toEqual([
      "blob: registry.invalid: connection refused (192.0.2.1:3128)",
      "blob: registry.invalid: no such host (proxy.invalid)",
    ]);
    const same = Object.assign(new Error("getaddrinfo"), { code: "ENOTFOUND", hostname: "registry.invalid" });
    expect(networkFailure(same, "registry.invalid:5000", "blob").message).toMatch(/no such host$/);
  });

  it("because its name is not known now is worth another try", () => {
    for (const [code, words] of [
      ["ENOTFOUND", "no such host"],
      ["EAI_AGAIN", "the name could not be looked up"],
    ] as const) {
      const error = Object.assign(new Error(`getaddrinfo ${code}`), { code, syscall: "getaddrinfo" });
      expect(networkFailure(error, "registry.invalid", "blob")).toMatchObject({
        code: "REGISTRY_UNREACHABLE",
        message: `blob: registry.invalid: ${words}`,
        retryable: true,
      });
    }
  });
});
