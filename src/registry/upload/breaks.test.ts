/** Uploads over lines that break at any byte of requests and answers: what is published is the blob, or nothing. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { startFaultProxy } from "../../../test/kit/faults/fault-proxy.ts";
import type { Fault } from "../../../test/kit/faults/fault.ts";
import type { FaultRule } from "../../../test/kit/faults/fault-script.ts";
import { at, collect, describeBlob, eventLog, noise, opening, testClient } from "../../../test/kit/http/test-client.ts";
import type { RegistryQuirks } from "../../../test/kit/registry/quirks.ts";
import { findPeer, peersRequired } from "../../../test/kit/peers.ts";
import { startDockerRegistry } from "../../../test/kit/peers/docker-registry.ts";
import { startRegistry } from "../../../test/kit/registry/registry.ts";

const SIZE = 400_000;
const BLOB = noise(SIZE);
const DESCRIPTOR = describeBlob(BLOB);

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constant("dropUpload" as const), afterBytes: fc.nat(SIZE) }),
  fc.constant({ kind: "loseAnswer" } as const),
  fc.constant({ kind: "reset" } as const),
  fc.constant({ kind: "garbage" } as const),
  fc.record({ kind: fc.constant("status" as const), status: fc.constantFrom(408, 429, 500, 502, 503, 504) }),
);
const rule: fc.Arbitrary<FaultRule> = fc.record({
  method: fc.constantFrom("POST", "PATCH", "PUT", "GET", "HEAD"),
  path: fc.constant(/\/blobs\//),
  nth: fc.integer({ min: 1, max: 3 }),
  fault,
});
const quirks: fc.Arbitrary<RegistryQuirks> = fc.constantFrom<RegistryQuirks>(
  {},
  { keepsPartial: false },
  { uploadLocation: "query", staleLocationEnds: true },
  { uploadLocation: "absolute", patchStatus: 201 },
  { uploadRange: false },
);

describe("a line that breaks", () => {
  it("anywhere costs some more bytes, never the blob", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(rule, { maxLength: 4 }),
        quirks,
        fc.constantFrom(undefined, 50_000, 150_000),
        async (rules, odd, chunkSize) => {
          await using registry = await startRegistry({ quirks: odd });
          await using proxy = await startFaultProxy({ target: registry.host, rules });
          await using client = testClient({ retries: 8 });
          const sink = client.uploads(at(proxy.host));
          const result = await sink.putBlob(DESCRIPTOR, opening(BLOB), { chunkSize });
          expect(["sent", "present"]).toContain(result);
          await using direct = testClient();
          const read = direct.blobs(at(registry.host)).readBlob(DESCRIPTOR);
          expect((await collect(read)).equals(BLOB)).toBe(true);
        },
      ),
      { numRuns: 25 },
    );
  });

  it.skipIf(!peersRequired && findPeer("docker-registry") === undefined)(
    "costs docker-registry the upload, never the blob",
    async () => {
      await using registry = await startDockerRegistry();
      const faults: readonly [FaultRule, number | undefined][] = [
        [{ method: "PUT", nth: 1, fault: { kind: "dropUpload", afterBytes: 123_456 } }, undefined],
        [{ method: "PUT", nth: 1, fault: { kind: "loseAnswer" } }, undefined],
        [{ method: "PATCH", nth: 2, fault: { kind: "dropUpload", afterBytes: 12_345 } }, 100_000],
        [{ method: "PATCH", nth: 2, fault: { kind: "loseAnswer" } }, 100_000],
        [{ method: "PATCH", nth: 2, fault: { kind: "reset" } }, 100_000],
      ];
      for (const [index, [rule, chunkSize]] of faults.entries()) {
        await using proxy = await startFaultProxy({ target: registry.host, rules: [rule] });
        await using client = testClient();
        const place = at(proxy.host, `break/${index}`);
        await client.uploads(place).putBlob(DESCRIPTOR, opening(BLOB), { chunkSize });
        expect(proxy.strikes).toHaveLength(1);
        expect((await collect(client.blobs(place).readBlob(DESCRIPTOR))).equals(BLOB)).toBe(true);
      }
    },
  );

  it("after the last byte is done when the registry has the blob", async () => {
    await using registry = await startRegistry();
    const rules: FaultRule[] = [{ method: "PUT", nth: 1, fault: { kind: "loseAnswer" } }];
    await using proxy = await startFaultProxy({ target: registry.host, rules });
    await using client = testClient();
    const { events, onEvent } = eventLog();
    await client.uploads(at(proxy.host)).putBlob(DESCRIPTOR, opening(BLOB), { onEvent });
    expect(registry.requests.map(({ method, status }) => `${method} ${status}`)).toEqual([
      "HEAD 404",
      "POST 202",
      "PUT 201",
      "GET 404",
      "HEAD 200",
    ]);
    expect(events.filter(({ type }) => type === "retry")).toHaveLength(1);
  });

  it("waits as long as it is told to, and asks again", async () => {
    await using registry = await startRegistry();
    const busy: Fault = { kind: "status", status: 429, retryAfter: 7 };
    const rules: FaultRule[] = [{ method: ["POST", "PUT"], nth: 1, per: "path", fault: busy }];
    await using proxy = await startFaultProxy({ target: registry.host, rules });
    await using client = testClient();
    const { events, onEvent } = eventLog();
    await client.uploads(at(proxy.host)).putBlob(DESCRIPTOR, opening(BLOB), { onEvent });
    const waits = events.flatMap((event) => (event.type === "retry" ? [event.delayMs] : []));
    expect(waits.length).toBeGreaterThanOrEqual(2);
    expect(Math.min(...waits)).toBe(7000);
  });

  it("is given up after as many tries without progress as may be", async () => {
    await using registry = await startRegistry();
    const rules: FaultRule[] = [{ method: "PUT", fault: { kind: "status", status: 503 } }];
    await using proxy = await startFaultProxy({ target: registry.host, rules });
    await using client = testClient({ retries: 3 });
    await expect(client.uploads(at(proxy.host)).putBlob(DESCRIPTOR, opening(BLOB))).rejects.toMatchObject({
      code: "REGISTRY_UNAVAILABLE",
      detail: { attempts: 4 },
    });
    expect(registry.requests.at(-1)?.method).toBe("DELETE");
  });

  it("is left at once when somebody stops it", async () => {
    await using registry = await startRegistry();
    await using client = testClient();
    const stop = new AbortController();
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      yield BLOB.subarray(0, 1000);
      stop.abort();
      await new Promise(() => {});
    };
    const put = client.uploads(at(registry.host)).putBlob(DESCRIPTOR, bytes, { signal: stop.signal });
    await expect(put).rejects.toMatchObject({ code: "INTERRUPTED" });
  });

  it("is not to blame for what the source throws", async () => {
    await using registry = await startRegistry();
    await using client = testClient();
    const { events, onEvent } = eventLog();
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      yield BLOB.subarray(0, 100_000);
      throw new RangeError("no more");
    };
    const put = client.uploads(at(registry.host)).putBlob(DESCRIPTOR, bytes, { onEvent });
    await expect(put).rejects.toThrow(RangeError);
    expect(events.filter(({ type }) => type === "retry")).toEqual([]);
    expect(registry.requests.some(({ method, status }) => method === "DELETE" && status === 204)).toBe(true);
  });
});
