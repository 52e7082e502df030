/** Uploads to registries that are odd, forgetful, or demand something. */
import { describe, expect, it } from "vitest";
import { at, collect, describeBlob, eventLog, noise, opening, testClient } from "../../../test/kit/http/test-client.ts";
import type { RegistryQuirks } from "../../../test/kit/registry/quirks.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import { UploadTroubles } from "../../../test/kit/registry/upload-troubles.ts";
import type { PutBlobOptions } from "./blob-sink.ts";

const BLOB = noise(3_000_000);
const DESCRIPTOR = describeBlob(BLOB);

/** Pushes the blob, and makes sure that it is there. @returns the methods and statuses of what was asked */
async function push(registry: KitRegistry, options: PutBlobOptions = {}): Promise<string[]> {
  await using client = testClient();
  const reference = at(registry.host);
  registry.clearRequests();
  expect(await client.uploads(reference).putBlob(DESCRIPTOR, opening(BLOB), options)).toBe("sent");
  const asked = registry.requests.map(({ method, status }) => `${method} ${status}`);
  expect((await collect(client.blobs(reference).readBlob(DESCRIPTOR))).equals(BLOB)).toBe(true);
  return asked;
}

async function odd(quirks: RegistryQuirks, options: PutBlobOptions = {}): Promise<string[]> {
  await using registry = await startRegistry({ quirks });
  return await push(registry, options);
}

const WHOLE = ["HEAD 404", "POST 202", "PUT 201"];
const CHUNKS = ["HEAD 404", "POST 202", "PATCH 202", "PATCH 202", "PUT 201"];
const chunkSize = 1_000_000;

describe("an upload goes", () => {
  it("by one request, whatever the form of its Location", async () => {
    for (const uploadLocation of ["path", "absolute", "query"] as const) {
      expect(await odd({ uploadLocation, staleLocationEnds: true })).toEqual(WHOLE);
      expect(await odd({ uploadLocation, staleLocationEnds: true }, { chunkSize })).toEqual(CHUNKS);
    }
  });

  it("without Content-Range when it is whole, and with it in chunks", async () => {
    await using registry = await startRegistry();
    await push(registry);
    const whole = registry.requests.find(({ method }) => method === "PUT");
    expect(whole?.headers["content-range"]).toBeUndefined();
    expect(whole?.headers["content-length"]).toBe("3000000");
    expect(whole?.headers["transfer-encoding"]).toBeUndefined();
    expect(whole?.headers["expect"]).toBeUndefined();
    await using other = await startRegistry();
    await push(other, { chunkSize });
    const ranges = other.requests.map(({ headers }) => headers["content-range"]).filter(Boolean);
    expect(ranges).toEqual(["0-999999", "1000000-1999999", "2000000-2999999"]);
  });

  it("to another origin without what belongs to the registry", async () => {
    const auth = { kind: "basic", users: { ada: "secret-of-ada" } } as const;
    await using registry = await startRegistry({ auth, quirks: { uploadLocation: "elsewhere" } });
    await using client = testClient({ credentials: { username: "ada", password: "secret-of-ada" } });
    const sink = client.uploads(at(registry.host));
    expect(await sink.putBlob(DESCRIPTOR, opening(BLOB), { chunkSize })).toBe("sent");
    expect(registry.uploadOrigin.requests.map(({ method, status }) => `${method} ${status}`)).toEqual(CHUNKS.slice(2));
    expect(await sink.has(DESCRIPTOR)).toBe(true);
  });

  it("in chunks of the least size that a registry wants", async () => {
    expect(await odd({ chunkMinLength: chunkSize }, { chunkSize: 10 })).toEqual(CHUNKS);
    expect(await odd({ chunkMinLength: 10 ** 15 }, { chunkSize: 10 })).toEqual(WHOLE);
    expect(await odd({ chunkMinLength: chunkSize })).toEqual(WHOLE);
  });

  it("to ECR, which says 201 to a chunk and wants bytes with the last request", async () => {
    expect(await odd({ patchStatus: 201, emptyPut: false }, { chunkSize: 1_500_000 })).toEqual([
      "HEAD 404",
      "POST 202",
      "PATCH 201",
      "PUT 201",
    ]);
  });

  it("to those who say 204, or 202 in the end, or nothing of what they have", async () => {
    expect(await odd({ patchStatus: 204, putStatus: 204, uploadRange: false }, { chunkSize })).toEqual([
      "HEAD 404",
      "POST 202",
      "PATCH 204",
      "PATCH 204",
      "PUT 204",
    ]);
    expect(await odd({ putStatus: 202 })).toEqual(["HEAD 404", "POST 202", "PUT 202", "HEAD 200"]);
  });

  it("in smaller pieces after 413, without waiting and without an attempt", async () => {
    await using registry = await startRegistry({ quirks: { bodyLimit: 800_000 } });
    const { events, onEvent } = eventLog();
    expect(await push(registry, { onEvent })).toEqual([
      "HEAD 404",
      "POST 202",
      "PUT 413",
      "PATCH 202",
      "PATCH 202",
      "PATCH 202",
      "PUT 201",
    ]);
    expect(events.filter(({ type }) => type === "retry")).toEqual([]);
    await using client = testClient();
    const sink = client.uploads(at(registry.host));
    const others = ["one", "two"].map((seed) => noise(1_000_000, seed));
    for (const bytes of others) await sink.putBlob(describeBlob(bytes), opening(bytes));
    expect(registry.requests.filter(({ status }) => status === 413)).toHaveLength(2);
  });

  it("in smaller pieces where long requests are reset without a word, and remembers it", async () => {
    await using registry = await startRegistry({ quirks: { bodyReset: 1024 ** 2, keepsPartial: false } });
    const { events, onEvent } = eventLog();
    const asked = await push(registry, { onEvent });
    expect(asked.filter((line) => line.startsWith("PATCH"))).toEqual(["PATCH 202", "PATCH 202"]);
    expect(events.filter(({ type }) => type === "retry")).toHaveLength(2);
    await using client = testClient({ retries: 2 });
    const sink = client.uploads(at(registry.host));
    for (const seed of ["one", "two"]) {
      const bytes = noise(1_500_000, seed);
      registry.clearRequests();
      await sink.putBlob(describeBlob(bytes), opening(bytes));
    }
    expect(registry.requests.map(({ method, status }) => `${method} ${status}`)).toEqual([
      "HEAD 404",
      "POST 202",
      "PATCH 202",
      "PUT 201",
    ]);
  });

  it("whole again after a line that broke, where no pieces are taken", async () => {
    for (const patchRefused of [400, 404, 405]) {
      const uploadTroubles = new UploadTroubles({ cuts: [1_000_000, 1_000_000] });
      const asked = await odd({ uploadTroubles, patchRefused, keepsPartial: false });
      expect(asked.filter((line) => line.startsWith("PATCH"))).toHaveLength(1);
      expect(asked.at(-1)).toBe("PUT 201");
    }
  });

  it("nowhere where not even little is taken", async () => {
    await using registry = await startRegistry({ quirks: { bodyLimit: 10 } });
    await using client = testClient();
    await expect(client.uploads(at(registry.host)).putBlob(DESCRIPTOR, opening(BLOB))).rejects.toMatchObject({
      code: "REGISTRY_PROTOCOL",
      message: expect.stringContaining("413"),
      hint: expect.stringContaining("--chunk-size"),
    });
    expect(registry.requests.at(-1)).toMatchObject({ method: "DELETE", status: 204 });
  });
});

describe("after a break", () => {
  it("goes on where the registry says, sending nothing twice that it has", async () => {
    const uploadTroubles = new UploadTroubles({ cuts: [1_234_567, 1] });
    await using registry = await startRegistry({ quirks: { uploadTroubles } });
    expect(await push(registry)).toEqual(["HEAD 404", "POST 202", "PUT 0", "GET 204", "PUT 0", "GET 204", "PUT 201"]);
    const ranges = registry.requests.map(({ headers }) => headers["content-range"]).filter(Boolean);
    expect(ranges).toEqual(["1234567-2999999", "1234568-2999999"]);
    expect(uploadTroubles.left).toBe(0);
  });

  it("begins anew when the registry has lost the upload, or ends it at an old address", async () => {
    const lost = () => new UploadTroubles({ lostAfterBytes: 2_000_000 });
    const again = ["HEAD 404", "POST 202", "PATCH 202", "PATCH 202", "PUT 404", ...CHUNKS];
    expect(await odd({ uploadTroubles: lost() }, { chunkSize })).toEqual(again);
    const cuts = new UploadTroubles({ cuts: [1_000_000] });
    const distribution = { uploadLocation: "query", staleLocationEnds: true, uploadTroubles: cuts } as const;
    expect(await odd(distribution)).toEqual(["HEAD 404", "POST 202", "PUT 0", "GET 404", ...WHOLE]);
  });

  it("begins anew when the registry does not say what it has, or that it has more than was sent", async () => {
    for (const uploadRange of [false, "0-0", "0-99999999", "5-10", "0--7", "bytes", ""] as const) {
      const uploadTroubles = new UploadTroubles({ cuts: [1_000_000] });
      expect(await odd({ uploadTroubles, uploadRange })).toEqual([
        "HEAD 404",
        "POST 202",
        "PUT 0",
        "GET 204",
        "DELETE 204",
        ...WHOLE,
      ]);
    }
  });

  it("gives up in the end where nothing is ever kept, and leaves nothing behind", async () => {
    const uploadTroubles = new UploadTroubles({ lostAfterBytes: 1_000_000, losses: 100 });
    await using registry = await startRegistry({ quirks: { uploadTroubles } });
    await using client = testClient({ retries: 2 });
    const put = client.uploads(at(registry.host)).putBlob(DESCRIPTOR, opening(BLOB), { chunkSize });
    await expect(put).rejects.toMatchObject({
      code: "REGISTRY_UNAVAILABLE",
      message: expect.stringMatching(/has lost the upload .* \(after 3 attempts\)/),
    });
  });
});

describe("what is sent", () => {
  it("may come from the same host, however many do so at once", async () => {
    await using registry = await startRegistry({ quirks: { mount: false } });
    await using client = testClient({ connectionsPerHost: 2 });
    const from = at(registry.host, "team/from");
    const blobs = Array.from({ length: 8 }, (_, index) => noise(500_000, `blob ${index}`));
    const source = client.uploads(from);
    for (const bytes of blobs) await source.putBlob(describeBlob(bytes), opening(bytes));
    const sink = client.uploads(at(registry.host, "team/to"));
    const copied = blobs.map(async (bytes) => {
      const blob = describeBlob(bytes);
      expect(await sink.mount(blob, "team/from")).toBe(false);
      const open = (start: number) => client.blobs(from).readBlob(blob, { range: { start, end: blob.size } });
      return await sink.putBlob(blob, open);
    });
    expect(new Set(await Promise.all(copied))).toEqual(new Set(["sent"]));
  });
});

describe("the rate", () => {
  it("is that of all bodies together", async () => {
    await using registry = await startRegistry();
    const { events, onEvent } = eventLog();
    const waits: number[] = [];
    const clock = {
      now: () => 0,
      random: () => 0,
      sleep: async (ms: number) => void waits.push(ms),
    };
    await using client = testClient({ limitRate: 1_000_000, clock });
    await client.uploads(at(registry.host)).putBlob(DESCRIPTOR, opening(BLOB), { onEvent });
    expect(Math.max(...waits)).toBeGreaterThan(2700);
    const pieces = events.filter(({ type }) => type === "sent");
    expect(pieces.length).toBeGreaterThan(10);
  });
});
