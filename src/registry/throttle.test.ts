/** A host that is asked too much gets less, and whoever reads from it gets on all the same. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { fakeClock } from "../../test/kit/http/fake-clock.ts";
import { scriptedServer, type Script } from "../../test/kit/http/scripted-server.ts";
import { at, collect, describeBlob, eventLog, noise, testClient } from "../../test/kit/http/test-client.ts";
import { TransferBudget } from "../recipe/limiter.ts";
import { Attempts } from "./attempts.ts";
import { systemClock, type Clock } from "./clock.ts";
import { directEndpoint } from "./endpoint.ts";
import { resolveSettings } from "./options.ts";
import { RegistryFailure } from "./transport/failure.ts";

const BLOBS = Array.from({ length: 12 }, (_, nth) => noise(300_000, `throttle ${nth}`));
const BY_DIGEST = new Map(BLOBS.map((bytes) => [describeBlob(bytes).digest as string, bytes]));

function bytesOf(url: string): Buffer {
  return BY_DIGEST.get(url.split("/").at(-1) ?? "") ?? Buffer.alloc(0);
}

/** Its time is real, but it does not sleep long. */
const impatient: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal) };

/** Serves blobs, and counts how many of the bodies that began after the last refusal are under way at once. */
function counting(refuse: (nth: number) => boolean) {
  const open = new Set<ServerResponse>();
  let peak = 0;
  const script: Script = async (request, response, nth) => {
    if (refuse(nth)) {
      open.clear();
      peak = 0;
      return void response.writeHead(429, { "retry-after": "1" }).end("slow down");
    }
    open.add(response);
    peak = Math.max(peak, open.size);
    const bytes = bytesOf(request.url);
    response.writeHead(200, { "content-length": bytes.length }).write(bytes.subarray(0, 1000));
    // Long enough for whoever else comes to come.
    await new Promise((resolve) => setTimeout(resolve, 20));
    response.end(bytes.subarray(1000));
    await once(response, "finish");
    open.delete(response);
  };
  return { script, peak: () => peak };
}

describe("429", () => {
  it("lowers how many bodies of that host come at once, while every reader gets all of its bytes", async () => {
    const server = counting((nth) => nth >= 4 && nth < 8);
    await using host = await scriptedServer(server.script);
    await using client = testClient({ connectionsPerHost: 8, clock: impatient });
    const { events, onEvent } = eventLog();
    const source = client.blobs(at(host.host));
    const all = await Promise.all(BLOBS.map((bytes) => collect(source.readBlob(describeBlob(bytes), { onEvent }))));
    expect(all.every((bytes, nth) => bytes.equals(BLOBS[nth] ?? Buffer.alloc(0)))).toBe(true);
    expect(events.find((event) => event.type === "throttle")).toMatchObject({ host: host.host, previous: 8, limit: 4 });
    expect(events.some(({ type }) => type === "queued")).toBe(true);
    expect(server.peak()).toBeLessThanOrEqual(4);
  });

  it("of a token service lowers that host only", async () => {
    await using tokens = await scriptedServer((_request, response, nth) => {
      if (nth === 0) response.writeHead(429).end();
      else response.end('{"token":"t"}');
    });
    await using host = await scriptedServer((request, response) => {
      if (request.headers.authorization !== undefined) return void response.end(bytesOf(request.url));
      const demand = `Bearer realm="${tokens.url}/token",service="s"`;
      response.writeHead(401, { "www-authenticate": demand }).end();
    });
    await using client = testClient();
    const { events, onEvent } = eventLog();
    const [blob] = BLOBS;
    await collect(client.blobs(at(host.host)).readBlob(describeBlob(blob!), { onEvent }));
    expect(events.filter(({ type }) => type === "throttle")).toEqual([
      expect.objectContaining({ host: tokens.host, limit: 1 }),
    ]);
  });
});

describe("a host that gets one request at a time", () => {
  const first429: Script = (request, response, nth) =>
    nth === 0 ? response.writeHead(429).end() : response.end(bytesOf(request.url));

  it("still serves a reader that holds one body while it reads another", async () => {
    await using host = await scriptedServer(first429);
    await using client = testClient({ clock: impatient });
    const source = client.blobs(at(host.host));
    const [one, two] = [BLOBS[0]!, BLOBS[1]!];
    const held = source.readBlob(describeBlob(one))[Symbol.asyncIterator]();
    const begun = await held.next();
    const whole = await collect(source.readBlob(describeBlob(two)));
    expect(whole.equals(two)).toBe(true);
    const parts = [begun.value as Uint8Array];
    for (let next = await held.next(); next.done !== true; next = await held.next()) parts.push(next.value);
    expect(Buffer.concat(parts).equals(one)).toBe(true);
  });

  it("feeds as many readers as have slots, and these never wait for each other", async () => {
    await using host = await scriptedServer(first429);
    await using client = testClient({ connectionsPerHost: 2 });
    const source = client.blobs(at(host.host));
    const budget = new TransferBudget({ concurrency: 3 });
    const all = await Promise.all(
      BLOBS.map(async (bytes) => {
        using _slot = await budget.acquire();
        return collect(source.readBlob(describeBlob(bytes)));
      }),
    );
    expect(all.every((bytes, nth) => bytes.equals(BLOBS[nth]!))).toBe(true);
  });

  it("is not blocked by a body that its reader leaves, nor by one that fails", async () => {
    await using host = await scriptedServer((request, response, nth) => {
      if (nth === 2) return void response.socket?.destroy();
      return first429(request, response, nth);
    });
    await using client = testClient();
    const source = client.blobs(at(host.host));
    for await (const _chunk of source.readBlob(describeBlob(BLOBS[0]!))) break;
    const whole = await collect(source.readBlob(describeBlob(BLOBS[1]!)));
    expect(whole.equals(BLOBS[1]!)).toBe(true);
    await expect(client.listTags(at(host.host))).rejects.toMatchObject({ code: "REGISTRY_PROTOCOL" });
  });

  it("does not take waiting in its queue for time without progress", async () => {
    const clock = fakeClock();
    const settings = resolveSettings({ clock, retryMaxTimeMs: 60_000 });
    const attempts = new Attempts([directEndpoint("registry.example", "app", settings)], settings, {});
    const failure = new RegistryFailure("REGISTRY_RATE_LIMITED", "slow down", { retryable: true });
    await attempts.failed(failure);
    clock.advance(3600_000);
    attempts.caller.onEvent?.({ type: "queued", host: "registry.example", ms: 3600_000 });
    await attempts.failed(failure);
    clock.advance(3600_000);
    await expect(attempts.failed(failure)).rejects.toMatchObject({ code: "REGISTRY_RATE_LIMITED" });
  });
});
