/** Blobs that are asked of a mirror before they are there. */
import { request } from "undici";
import { describe, expect, it } from "vitest";
import { startMirror, type TestMirror, type TestMirrorOptions } from "../../../test/kit/daemon/start-mirror.ts";
import { startFaultProxy, type FaultProxy } from "../../../test/kit/faults/fault-proxy.ts";
import type { FaultRule } from "../../../test/kit/faults/fault-script.ts";
import { describeBlob, noise } from "../../../test/kit/http/test-client.ts";
import { buildImage } from "../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { rawExchange } from "../../../test/kit/net/raw-exchange.ts";
import type { RegistryQuirks } from "../../../test/kit/registry/quirks.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import { VarveError } from "../../errors/varve-error.ts";

const MIB = 1 << 20;
const small = noise(2 * MIB, "small");
const large = noise(12 * MIB, "large");
const image = await buildImage({ layers: [small, large], compression: "none" });
const blobs = { small: describeBlob(small), large: describeBlob(large) };

interface Setting {
  readonly registry: KitRegistry;
  readonly proxy: FaultProxy;
  readonly mirror: TestMirror;
  /** The path of a blob at the mirror. */
  readonly path: (which: "small" | "large") => string;
  /** What upstream was asked for of a blob. */
  readonly asked: (which: "small" | "large") => { method: string; range: string | undefined; sent: number }[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** A mirror that has given the manifest already, before a registry that breaks as the rules say. */
async function setting(
  options: Partial<TestMirrorOptions> & { quirks?: RegistryQuirks; rules?: readonly FaultRule[] } = {},
): Promise<Setting> {
  const registry = await startRegistry({ quirks: options.quirks ?? {} });
  await pushImage(registry.host, "team/app", "v1", image);
  const proxy = await startFaultProxy({ target: registry.host, rules: options.rules ?? [] });
  const mirror = await startMirror({ upstreams: [proxy.host], ...options });
  expect((await mirror.call("GET", `/v2/${proxy.host}/team/app/manifests/v1`)).status).toBe(200);
  const digestOf = (which: "small" | "large") => blobs[which].digest;
  return {
    registry,
    proxy,
    mirror,
    path: (which) => `/v2/${proxy.host}/team/app/blobs/${digestOf(which)}`,
    asked: (which) =>
      proxy.requests
        .filter(({ path }) => path.endsWith(digestOf(which)))
        .map(({ method, headers, sent }) => ({ method, range: headers.range, sent })),
    [Symbol.asyncDispose]: async () => {
      await mirror.stop();
      await proxy.close();
      await registry.close();
    },
  };
}

const range = (start: number, end: number) => ({ range: `bytes=${start}-${end - 1}` });

describe("a blob that is not there yet", () => {
  it("costs upstream one copy, however many clients ask for it at once", async () => {
    await using at = await setting();
    const answers = await Promise.all(Array.from({ length: 50 }, () => at.mirror.call("GET", at.path("small"))));
    for (const { status, bytes } of answers) expect([status, bytes.equals(small)]).toEqual([200, true]);
    expect(at.asked("small")).toEqual([{ method: "GET", range: undefined, sent: small.length }]);
    expect(at.mirror.cache.filter((what) => what === "blob miss")).toHaveLength(1);
    expect(at.mirror.served()).toBe(50 * small.length);
    await at.mirror.mirror.settled();
    expect((await at.mirror.call("GET", at.path("small"))).bytes.equals(small)).toBe(true);
    expect(at.asked("small")).toHaveLength(1);
  });

  it.each<[string, RegistryQuirks]>([
    ["with ranges", {}],
    ["without ranges", { ranges: "ignore" }],
    ["that sends to a second origin", { blobRedirect: {} }],
    ["that tells no length", { blobsWithoutLength: true }],
    ["that refuses HEAD", { blobHead: 405, manifestHead: 405 }],
    ["that tells no digests", { digestHeader: false }],
  ])("comes from a registry %s, in ranges of any kind, byte for byte", async (_, quirks) => {
    await using at = await setting({ quirks });
    const ask = async (start: number, end: number): Promise<void> => {
      const { status, bytes, headers } = await at.mirror.call("GET", at.path("large"), range(start, end));
      expect([status, headers["content-range"]]).toEqual([206, `bytes ${start}-${end - 1}/${large.length}`]);
      expect(bytes.equals(large.subarray(start, end))).toBe(true);
    };
    const size = large.length;
    await Promise.all([
      ask(0, size),
      ask(size - 500, size),
      ask(7 * MIB, 7 * MIB + 10),
      ask(1, 2),
      ask(5 * MIB, size),
      ask(9 * MIB - 3, 9 * MIB + 3),
    ]);
  });

  it("is sent while it arrives, but for its end", async () => {
    const stall = { path: /blobs/, fault: { kind: "stall", afterBytes: 1.5 * MIB } } as const;
    await using at = await setting({ rules: [stall] });
    const stopAfterBody = MIB;
    const got = await rawExchange(at.mirror.host, `GET ${at.path("small")}`, [], { stopAfterBody });
    expect(got.head).toMatch(/^HTTP\/1.1 200/);
    expect(got.body.subarray(0, stopAfterBody).equals(small.subarray(0, stopAfterBody))).toBe(true);
  });

  it("gives a part from its midst at once, though what is before it does not come", async () => {
    const stall = { path: /blobs/, ranged: false, fault: { kind: "stall", afterBytes: MIB } } as const;
    await using at = await setting({ rules: [stall] });
    const whole = request(`${at.mirror.origin}${at.path("large")}`).then(({ body }) =>
      body.on("error", () => undefined),
    );
    const end = await at.mirror.call("GET", at.path("large"), { range: "bytes=-500" });
    expect(end.bytes.equals(large.subarray(-500))).toBe(true);
    const midst = await at.mirror.call("GET", at.path("large"), range(8 * MIB, 9 * MIB));
    expect(midst.bytes.equals(large.subarray(8 * MIB, 9 * MIB))).toBe(true);
    expect(at.asked("large").map(({ range: asked }) => asked)).toContain(`bytes=${8 * MIB}-${9 * MIB - 1}`);
    (await whole).destroy();
  });

  it("is asked for in parts by many, and still comes about once", async () => {
    const slow = { path: /blobs/, fault: { kind: "slow", bytesPerSecond: 40 * MIB } } as const;
    await using at = await setting({ rules: [slow] });
    const parts = Array.from({ length: 12 }, (_, part) => part * MIB);
    const clients = Array.from({ length: 4 }, () => parts).flat();
    const got = await Promise.all(
      clients.map((start) => at.mirror.call("GET", at.path("large"), range(start, start + MIB))),
    );
    for (const [i, { bytes }] of got.entries()) {
      expect(bytes.equals(large.subarray(clients[i], clients[i]! + MIB))).toBe(true);
    }
    await at.mirror.mirror.settled();
    // The stretch that is under way as one comes whole; what was asked for ahead of it comes once more.
    expect(at.asked("large").reduce((sum, { sent }) => sum + sent, 0)).toBeLessThanOrEqual(2 * large.length);
  });

  it("goes on when a line breaks, without the client noticing", async () => {
    const drop = { path: /blobs/, nth: { to: 3 }, fault: { kind: "drop", afterBytes: 3 * MIB } } as const;
    await using at = await setting({ rules: [drop] });
    expect((await at.mirror.call("GET", at.path("large"))).bytes.equals(large)).toBe(true);
  });
});

describe("an upstream that dies in the midst of a blob", () => {
  it("breaks the answer off; what came is kept, and the next goes on from there", async () => {
    const dead: FaultRule[] = [
      { path: /blobs/, nth: 1, fault: { kind: "drop", afterBytes: 5 * MIB } },
      { path: /blobs/, nth: { from: 2 }, fault: { kind: "reset" } },
    ];
    await using at = await setting({ rules: dead });
    const broken = await rawExchange(at.mirror.host, `GET ${at.path("large")}`);
    expect(broken.head).toContain(`ontent-length: ${large.length}`);
    expect(broken.body.length).toBeLessThan(large.length);
    expect(broken.body.equals(large.subarray(0, broken.body.length))).toBe(true);
    await at.mirror.mirror.settled();
    const kept = await at.mirror.store.content.partial(blobs.large.digest);
    expect(kept[0]?.start).toBe(0);
    expect(kept[0]?.end).toBeGreaterThan(4 * MIB);
    const down = await at.mirror.call("GET", at.path("small"));
    expect([down.status, down.code()]).toEqual([502, expect.any(String)]);
    at.proxy.setRules([]);
    const before = at.asked("large").length;
    expect((await at.mirror.call("GET", at.path("large"))).bytes.equals(large)).toBe(true);
    const [resumed] = at.asked("large").slice(before);
    expect(resumed?.range).toBe(`bytes=${kept[0]!.end}-${large.length - 1}`);
  });

  it("is not waited for when it has not begun to send: clients can ask elsewhere", async () => {
    await using at = await setting({ rules: [{ path: /blobs/, fault: { kind: "status", status: 503 } }] });
    const answer = await at.mirror.call("GET", at.path("small"));
    expect([answer.status, at.asked("small").length]).toEqual([503, 3]);
    at.proxy.setRules([]);
    expect((await at.mirror.call("GET", at.path("small"))).bytes.equals(small)).toBe(true);
  });

  it("is not waited for by who has left, and what he wanted comes all the same", async () => {
    const slow = { path: /blobs/, fault: { kind: "slow", bytesPerSecond: 30 * MIB } } as const;
    await using at = await setting({ rules: [slow] });
    await rawExchange(at.mirror.host, `GET ${at.path("large")}`, [], { stopAfterBody: MIB });
    await at.mirror.mirror.settled();
    expect((await at.mirror.store.content.stat(blobs.large.digest))?.size).toBe(large.length);
    expect(at.asked("large")).toHaveLength(1);
  });
});

describe("bytes that are not the digest's", () => {
  it.each<[string, FaultRule["fault"]]>([
    ["are wrong at the start", { kind: "flip", atByte: 0 }],
    ["are wrong at the very end", { kind: "flip", atByte: small.length - 1 }],
  ])("that %s never come to an end at a client, and are not kept", async (_, fault) => {
    await using at = await setting({ rules: [{ path: /blobs/, fault }] });
    const broken = await rawExchange(at.mirror.host, `GET ${at.path("small")}`);
    expect(broken.body.length).toBeLessThan(small.length);
    const resumed = await rawExchange(at.mirror.host, `GET ${at.path("small")}`, ["Range: bytes=1000-"]);
    expect(resumed.body.length).toBeLessThan(small.length - 1000);
    await at.mirror.mirror.settled();
    expect(await at.mirror.store.content.stat(blobs.small.digest)).toBeUndefined();
    expect(await at.mirror.store.content.partial(blobs.small.digest)).toEqual([]);
    at.proxy.setRules([]);
    expect((await at.mirror.call("GET", at.path("small"))).bytes.equals(small)).toBe(true);
  });

  it("that are too few or too many end the connection as well", async () => {
    await using at = await setting();
    for (const fault of [
      { kind: "truncate", toBytes: MIB },
      { kind: "append", bytes: 7 },
    ] as const) {
      at.proxy.setRules([{ path: /blobs/, fault }]);
      const broken = await rawExchange(at.mirror.host, `GET ${at.path("small")}`);
      expect(broken.body.length).toBeLessThan(small.length);
    }
  });
});

describe("a store that cannot take a blob", () => {
  it("does not keep it from being sent: whoever is at it and gets no further is not waited for", async () => {
    await using at = await setting({ otherMs: 50 });
    const place = await at.mirror.store.content.ingest(blobs.small);
    if (!("commit" in place)) throw new Error("it is there");
    await using _other = place;
    expect((await at.mirror.call("GET", at.path("small"))).bytes.equals(small)).toBe(true);
    const part = await at.mirror.call("GET", at.path("small"), range(5, 10));
    expect(part.bytes.equals(small.subarray(5, 10))).toBe(true);
    at.proxy.setRules([{ path: /blobs/, fault: { kind: "flip", atByte: 0 } }]);
    expect((await rawExchange(at.mirror.host, `GET ${at.path("small")}`)).body.length).toBeLessThan(small.length);
  });

  it("does not keep it from being sent: its database takes nothing, for a while", async () => {
    await using at = await setting();
    const { leases } = at.mirror.store;
    const create = leases.create.bind(leases);
    leases.create = () => Promise.reject(new VarveError("NO_SPACE", "the disk is full"));
    expect((await at.mirror.call("GET", at.path("small"))).bytes.equals(small)).toBe(true);
    expect(await at.mirror.store.content.stat(blobs.small.digest)).toBeUndefined();
    leases.create = create;
    expect((await at.mirror.call("GET", at.path("small"))).bytes.equals(small)).toBe(true);
    await at.mirror.mirror.settled();
    expect(await at.mirror.store.content.stat(blobs.small.digest)).toBeDefined();
  });

  it("shares the work of another that gets on", async () => {
    await using at = await setting();
    const place = await at.mirror.store.content.ingest(blobs.small);
    if (!("commit" in place)) throw new Error("it is there");
    const asking = at.mirror.call("GET", at.path("small"));
    await place.write(0, small);
    await place.commit(blobs.small);
    await place[Symbol.asyncDispose]();
    expect((await asking).bytes.equals(small)).toBe(true);
    expect(at.asked("small").filter(({ method }) => method === "GET")).toEqual([]);
  });
});
