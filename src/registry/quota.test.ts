import { describe, expect, it } from "vitest";
import { fakeClock } from "../../test/kit/http/fake-clock.ts";
import { scriptedServer, type Script } from "../../test/kit/http/scripted-server.ts";
import { at, eventLog, testClient } from "../../test/kit/http/test-client.ts";
import { ERROR_TABLE } from "../errors/table.ts";
import type { RegistryOptions } from "./options.ts";
import { errorText } from "./transport/error-text.ts";
import { isQuota } from "./transport/quota.ts";

/** As Azure Blob sends it, through GHCR's redirect. */
const AZURE =
  '\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>ServerBusy</Code><Message>Egress is over the account limit.\n' +
  "RequestId:7c1f0d2e-001e-0017\nTime:2026-01-01T00:00:00.0000000Z</Message></Error>";

const MANIFEST = JSON.stringify({
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.index.v1+json",
  manifests: [],
});

const ok: Script = (_request, response) =>
  response.writeHead(200, { "content-type": "application/vnd.oci.image.index.v1+json" }).end(MANIFEST);

const busy: Script = (_request, response) => response.writeHead(503).end(AZURE);

async function fetchWith(script: Script, options: RegistryOptions = {}) {
  const clock = fakeClock();
  await using server = await scriptedServer(script);
  await using client = testClient({ clock, ...options });
  const { events, onEvent } = eventLog();
  const result = await client.fetchManifest(at(server.host), { onEvent }).catch((error: unknown) => error);
  const retries = events.filter((event) => event.type === "retry");
  return { result, asked: server.seen.length, slept: clock.slept, retries, host: server.host };
}

describe("what is a spent quota", () => {
  it("is told by status and words", () => {
    for (const [status, text] of [
      [509, undefined],
      [503, "ServerBusy: Egress is over the account limit."],
      [503, "Operations per second is over the account limit."],
      [403, "DENIED: data transfer quota exceeded"],
      [403, "Bandwidth limit exceeded"],
      [403, "Bandwidth exhausted for this month"],
      [403, "rateLimitExceeded"],
      [403, "Rate exceeded"],
      [403, "dailyLimitExceeded: Daily Limit Exceeded"],
      [403, "download limit reached"],
      [402, "You have reached your monthly traffic limit"],
      [429, "Quota exceeded for quota metric 'Egress'"],
      [429, "Data limit exceeded"],
    ] as const) {
      expect({ status, text, quota: isQuota(status, text) }).toEqual({ status, text, quota: true });
    }
  });

  it("is not every refusal", () => {
    for (const [status, text] of [
      [403, undefined],
      [403, "DENIED: requested access to the resource is denied"],
      [403, "blocked by the egress policy of this network"],
      [403, "accounts over SSO only"],
      [429, "TOOMANYREQUESTS: You have reached your pull rate limit"],
      [429, "toomanyrequests: Rate exceeded"],
      [503, "Service Unavailable"],
      [401, "quota exceeded"],
      [404, "no such quota"],
      [200, "quota exceeded"],
    ] as const) {
      expect({ status, text, quota: isQuota(status, text) }).toEqual({ status, text, quota: false });
    }
  });

  it("is read out of an object store's XML, and of Google's JSON", () => {
    expect(errorText(AZURE)).toBe("ServerBusy: Egress is over the account limit.");
    expect(errorText("<Error><Code>SlowDown</Code><Message>Please reduce</Message></Error>")).toBe(
      "SlowDown: Please reduce",
    );
    expect(errorText("<Error><Code>\u001b[31mred</Code></Error>")).toBe("[31mred");
    expect(errorText("<html><Message>page</Message></html>")).toBeUndefined();
    expect(errorText('{"error":{"code":403,"message":"Quota exceeded"}}')).toBe("Quota exceeded");
  });
});

describe("a spent quota", () => {
  it("is waited for slowly: seconds at first, minutes later, with full jitter", async () => {
    const { result, slept, retries } = await fetchWith(
      (request, response, nth) => (nth < 7 ? busy(request, response, nth) : ok(request, response, nth)),
      { retries: 1, retryMaxTimeMs: 3600_000 },
    );
    expect(result).toMatchObject({ kind: "index" });
    // Half of the longest, as the clock's chance is one half.
    expect(slept).toEqual([5000, 10_000, 20_000, 40_000, 80_000, 120_000, 120_000]);
    expect(retries.map((event) => event.attempt)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(retries[0]?.reason).toMatch(
      /^REGISTRY_QUOTA: manifest .* has reached a quota of what it may send \(status 503\): ServerBusy: Egress is over/,
    );
  });

  it("ends as REGISTRY_QUOTA when --retry-max-time would pass, with what to do", async () => {
    const { result, slept } = await fetchWith(busy, { retryMaxTimeMs: 60_000 });
    expect(slept).toEqual([5000, 10_000, 20_000]);
    expect(result).toMatchObject({
      code: "REGISTRY_QUOTA",
      exitCode: 1,
      hint: ERROR_TABLE.REGISTRY_QUOTA.hint,
      message: expect.stringMatching(/Egress is over the account limit.*after 4 attempts/),
    });
    expect(ERROR_TABLE.REGISTRY_QUOTA.hint).toMatch(/kept.*same command.*mirror.*--retry-max-time/);
  });

  it("ends at some time, whatever time there is", async () => {
    const { asked } = await fetchWith(busy, { retryMaxTimeMs: Number.MAX_SAFE_INTEGER });
    expect(asked).toBe(51);
  });

  it("fails at once with --retries 0, with the same hint", async () => {
    const { result, asked, slept } = await fetchWith(busy, { retries: 0 });
    expect(asked).toBe(1);
    expect(slept).toEqual([]);
    expect(result).toMatchObject({ code: "REGISTRY_QUOTA", hint: ERROR_TABLE.REGISTRY_QUOTA.hint });
  });

  it("is asked for again when the registry says, not by our own guess", async () => {
    const times = ["40", "0", "1"];
    const { result, slept } = await fetchWith((request, response, nth) => {
      const after = times[nth];
      if (after === undefined) ok(request, response, nth);
      else response.writeHead(503, { "retry-after": after }).end(AZURE);
    });
    expect(result).toMatchObject({ kind: "index" });
    expect(slept).toEqual([40_000, 500, 1000]);
  });

  it("is known by the reason phrase alone, as HEAD has no body", async () => {
    const clock = fakeClock();
    await using server = await scriptedServer((_request, response, nth) => {
      if (nth > 0) return void response.writeHead(200, { "content-type": "x", "docker-content-digest": "y" }).end();
      response.writeHead(503, "Egress is over the account limit.").end();
    });
    await using client = testClient({ clock });
    await client.resolve(at(server.host)).catch(() => undefined);
    expect(clock.slept[0]).toBe(5000);
  });

  it("is found behind 403 too, while a 403 without such words is DENIED at once", async () => {
    const body = JSON.stringify({ errors: [{ code: "DENIED", message: "bandwidth quota of the account is used up" }] });
    const spent = await fetchWith((request, response, nth) =>
      nth === 0 ? response.writeHead(403).end(body) : ok(request, response, nth),
    );
    expect(spent.result).toMatchObject({ kind: "index" });
    expect(spent.slept).toEqual([5000]);
    const denied = await fetchWith((_request, response) =>
      response.writeHead(403).end('{"errors":[{"code":"DENIED"}]}'),
    );
    expect(denied).toMatchObject({ asked: 1, slept: [], result: { code: "DENIED" } });
  });

  it("does not use up the tries for other failures, nor they its own", async () => {
    const { result, slept } = await fetchWith(
      (request, response, nth) => {
        if (nth >= 5) ok(request, response, nth);
        else if (nth % 2 === 0) busy(request, response, nth);
        else response.destroy();
      },
      { retries: 2 },
    );
    expect(result).toMatchObject({ kind: "index" });
    expect(slept).toEqual([5000, 250, 10_000, 500, 20_000]);
  });
});
