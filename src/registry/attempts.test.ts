import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { fakeClock } from "../../test/kit/http/fake-clock.ts";
import { scriptedServer, type Script } from "../../test/kit/http/scripted-server.ts";
import { at, eventLog, testClient } from "../../test/kit/http/test-client.ts";
import { listen } from "../../test/kit/net/listen.ts";
import { RateLimiter } from "./rate-limiter.ts";

const MANIFEST = JSON.stringify({
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.index.v1+json",
  manifests: [],
});
const ok: Script = (_request, response) =>
  void response.writeHead(200, { "content-type": "application/vnd.oci.image.index.v1+json" }).end(MANIFEST);

async function fetchWith(script: Script, options = {}) {
  const clock = fakeClock();
  await using server = await scriptedServer(script);
  await using client = testClient({ clock, ...options });
  const { events, onEvent } = eventLog();
  const result = await client.fetchManifest(at(server.host), { onEvent }).catch((error: unknown) => error);
  return { result, asked: server.seen.length, slept: clock.slept, events };
}

const down: Script = (_request, response) => void response.writeHead(500).end();

describe("retries", () => {
  for (const status of [408, 429, 499, 500, 502, 503, 504, 522]) {
    it(`help against ${status}`, async () => {
      const { result, asked, slept } = await fetchWith((request, response, nth) => {
        if (nth < 2) response.writeHead(status).end("later");
        else void ok(request, response, nth);
      });
      expect(result).toMatchObject({ kind: "index" });
      expect(asked).toBe(3);
      expect(slept).toEqual([250, 500]);
    });
  }

  for (const [status, code] of [
    [400, "REGISTRY_PROTOCOL"],
    [403, "DENIED"],
    [404, "MANIFEST_UNKNOWN"],
    [410, "MANIFEST_UNKNOWN"],
    [451, "DENIED"],
  ] as const) {
    it(`do not happen for ${status}`, async () => {
      const { result, asked, slept } = await fetchWith((_request, response) => void response.writeHead(status).end());
      expect(result).toMatchObject({ code, detail: { status } });
      expect(asked).toBe(1);
      expect(slept).toEqual([]);
    });
  }

  it("help against a reset, and against a body that breaks", async () => {
    const { result, asked } = await fetchWith((request, response, nth) => {
      if (nth === 0) response.destroy();
      else if (nth === 1) {
        response.writeHead(200, { "content-length": MANIFEST.length });
        response.write(MANIFEST.slice(0, 10), () => response.destroy());
      } else void ok(request, response, nth);
    });
    expect(result).toMatchObject({ kind: "index" });
    expect(asked).toBe(3);
  });

  it("help against headers that do not come", async () => {
    const options = { timeouts: { headersMs: 50 } };
    const { result } = await fetchWith(
      (request, response, nth) => (nth === 0 ? undefined : ok(request, response, nth)),
      options,
    );
    expect(result).toMatchObject({ kind: "index" });
  });

  it("wait as long as Retry-After says, in seconds or as a date, but no longer than two minutes", async () => {
    const date = new Date(Date.UTC(2026, 0, 1) + 90_000).toUTCString();
    for (const [value, wait] of [
      ["7", 7000],
      [date, 90_000],
      ["86400", 120_000],
      ["0", 250],
    ] as const) {
      const { slept } = await fetchWith((request, response, nth) => {
        if (nth === 0) response.writeHead(429, { "retry-after": value }).end();
        else void ok(request, response, nth);
      });
      expect(slept).toEqual([wait]);
    }
  });

  it("double their delay up to thirty seconds, by chance below that, and end after --retries", async () => {
    const { result, asked, slept, events } = await fetchWith((_r, response) => void response.writeHead(503).end(), {
      retries: 9,
    });
    expect(slept).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    expect(asked).toBe(10);
    expect(result).toMatchObject({
      code: "REGISTRY_UNAVAILABLE",
      message: expect.stringContaining("after 10 attempts"),
    });
    expect(
      events.filter(({ type }) => type === "retry").map((event) => event.type === "retry" && event.attempt),
    ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("are five unless told otherwise, and none with 0", async () => {
    expect((await fetchWith(down)).asked).toBe(6);
    expect((await fetchWith(down, { retries: 0 })).asked).toBe(1);
  });

  it("end when --retry-max-time would pass without progress", async () => {
    const { asked, slept } = await fetchWith((_r, response) => void response.writeHead(503).end(), {
      retries: 100,
      retryMaxTimeMs: 2000,
    });
    expect(slept).toEqual([250, 500, 1000]);
    expect(asked).toBe(4);
  });

  it("of a limited rate say so in the end", async () => {
    const body = JSON.stringify({ errors: [{ code: "TOOMANYREQUESTS", message: "pull rate limit" }] });
    const { result } = await fetchWith((_r, response) => void response.writeHead(429).end(body), { retries: 1 });
    expect(result).toMatchObject({
      code: "REGISTRY_RATE_LIMITED",
      message: expect.stringContaining("pull rate limit"),
    });
  });

  it("help against a host that refuses connections, and name it when they do not", async () => {
    const gone = await listen(createServer());
    await gone.close();
    const clock = fakeClock();
    await using client = testClient({ clock, retries: 2 });
    const resolving = client.resolve(at(gone.host));
    await expect(resolving).rejects.toMatchObject({
      code: "REGISTRY_UNREACHABLE",
      message: expect.stringMatching(/team\/app:v1.*connection refused/),
    });
    expect(clock.slept).toEqual([250, 500]);
  });

  it("are interrupted by the caller's signal", async () => {
    const controller = new AbortController();
    const clock = {
      ...fakeClock(),
      sleep: () =>
        new Promise<void>((_resolve, reject) => {
          controller.signal.addEventListener("abort", () => reject(controller.signal.reason as Error));
          controller.abort();
        }),
    };
    await using server = await scriptedServer((_request, response) => void response.writeHead(503).end());
    await using client = testClient({ clock });
    const { signal } = controller;
    await expect(client.resolve(at(server.host), { signal })).rejects.toMatchObject({ code: "INTERRUPTED" });
  });
});

describe("the rate limiter", () => {
  it("lets through what the rate allows over any time, and no more than a burst after a pause", async () => {
    const clock = fakeClock();
    const limiter = new RateLimiter(1000, clock);
    for (let taken = 0; taken < 10; taken++) await limiter.take(100);
    expect(clock.slept.reduce((sum, ms) => sum + ms, 0)).toBe(1000);
    clock.advance(60_000);
    clock.slept.length = 0;
    for (let taken = 0; taken < 10; taken++) await limiter.take(100);
    expect(clock.slept.reduce((sum, ms) => sum + ms, 0)).toBe(750);
  });
});
