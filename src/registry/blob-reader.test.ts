import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { fakeClock } from "../../test/kit/http/fake-clock.ts";
import { scriptedServer, type Script, type SeenRequest } from "../../test/kit/http/scripted-server.ts";
import { at, collect, describeBlob, eventLog, noise, testClient } from "../../test/kit/http/test-client.ts";

const MIB = 1024 * 1024;
const BLOB = noise(3 * MIB);
const DESCRIPTOR = describeBlob(BLOB);

function rangeOf(request: SeenRequest): [number, number] | undefined {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  return match === null ? undefined : [Number(match[1]), Number(match[2]) + 1];
}

/** An honest answer. */
function honest(request: SeenRequest, response: ServerResponse): void {
  const range = rangeOf(request);
  if (range === undefined) {
    response.writeHead(200, { "content-length": BLOB.length }).end(BLOB);
    return;
  }
  partial(response, range[0], range[1]);
}

function partial(
  response: ServerResponse,
  start: number,
  end: number,
  headers: Record<string, string | number> = {},
): void {
  const own = { "content-range": `bytes ${start}-${end - 1}/${BLOB.length}`, "content-length": end - start };
  response.writeHead(206, { ...own, ...headers }).end(BLOB.subarray(start, end));
}

/** Sends this much of what was promised, then breaks the connection in order. */
function cut(response: ServerResponse, status: number, headers: Record<string, string | number>, bytes: Buffer): void {
  response.writeHead(status, headers);
  response.write(bytes, () => response.socket?.end());
}

async function read(script: Script, range?: { start: number; end: number }, options = {}) {
  await using server = await scriptedServer(script);
  await using client = testClient(options);
  const log = eventLog();
  const source = client.blobs(at(server.host)).readBlob(DESCRIPTOR, { onEvent: log.onEvent, ...(range && { range }) });
  const bytes = await collect(source).catch((error: unknown) => error as Error);
  const rates = client.rates(at(server.host));
  return { bytes, seen: server.seen, events: log.events, ranges: client.supportsRanges(server.host), rates };
}

const same = (bytes: Buffer | Error, start = 0, end = BLOB.length): boolean => {
  if (bytes instanceof Error) throw bytes;
  return bytes.equals(BLOB.subarray(start, end));
};

describe("a whole blob", () => {
  it("tells how fast its registry is", async () => {
    const { rates } = await read(honest);
    expect(rates).toEqual({ latencyMs: expect.any(Number), bytesPerSecond: expect.any(Number) });
    expect(rates.bytesPerSecond).toBeGreaterThan(0);
  });

  it("counts neither logging in as time that its registry takes to answer, nor more than a small blob took before", async () => {
    const clock = fakeClock();
    let answerMs = 30;
    await using server = await scriptedServer((request, response) => {
      if (request.url.startsWith("/token")) {
        clock.advance(900);
        response.end(JSON.stringify({ token: "t" }));
      } else if (request.headers.authorization === undefined) {
        clock.advance(700);
        response.writeHead(401, { "www-authenticate": `Bearer realm="${server.url}/token",service="s"` }).end();
      } else {
        clock.advance(answerMs);
        honest(request, response);
      }
    });
    await using client = testClient({ clock });
    const reference = at(server.host);
    await collect(client.blobs(reference).readBlob(DESCRIPTOR));
    expect(client.rates(reference).latencyMs).toBe(30);
    answerMs = 20;
    await client.fetchBlobBytes(reference, DESCRIPTOR);
    expect(client.rates(reference).latencyMs).toBe(20);
  });

  it("is asked for without a Range header and with Accept-Encoding: identity", async () => {
    const { bytes, seen } = await read(honest);
    expect(same(bytes)).toBe(true);
    expect(seen).toHaveLength(1);
    expect(seen[0]?.headers).not.toHaveProperty("range");
    expect(seen[0]?.headers["accept-encoding"]).toBe("identity");
  });

  it("goes on at the byte where the connection was cut", async () => {
    const { bytes, seen, events } = await read((request, response, nth) => {
      if (nth === 0) cut(response, 200, { "content-length": BLOB.length }, BLOB.subarray(0, MIB));
      else honest(request, response);
    });
    expect(same(bytes)).toBe(true);
    expect(seen[1]?.headers.range).toBe(`bytes=${MIB}-${BLOB.length - 1}`);
    expect(events.filter(({ type }) => type === "retry")).toHaveLength(1);
    const received = events.reduce((sum, event) => sum + (event.type === "received" ? event.bytes : 0), 0);
    expect(received).toBe(BLOB.length);
  });

  it("goes on after a chunked body that ends too early", async () => {
    const { bytes, seen } = await read((request, response, nth) => {
      if (nth === 0) response.writeHead(200).end(BLOB.subarray(0, 1000));
      else honest(request, response);
    });
    expect(same(bytes)).toBe(true);
    expect(seen[1]?.headers.range).toBe(`bytes=1000-${BLOB.length - 1}`);
  });

  it("goes on after a body that stalls", async () => {
    const timeouts = { idleBodyMs: 50 };
    const { bytes, events } = await read(
      (request, response, nth) => {
        if (nth === 0) response.writeHead(200, { "content-length": BLOB.length }).write(BLOB.subarray(0, 5000));
        else honest(request, response);
      },
      undefined,
      { timeouts },
    );
    expect(same(bytes)).toBe(true);
    expect(events.find(({ type }) => type === "retry")).toMatchObject({
      reason: expect.stringContaining("REGISTRY_TIMEOUT"),
    });
  });

  it("starts again from zero inside when the host cannot resume, and gives each byte once", async () => {
    const { bytes, seen, events, ranges } = await read((_request, response, nth) => {
      if (nth === 0) cut(response, 200, { "content-length": BLOB.length }, BLOB.subarray(0, 2 * MIB));
      else response.writeHead(200, { "content-length": BLOB.length }).end(BLOB);
    });
    expect(same(bytes)).toBe(true);
    expect(seen).toHaveLength(2);
    expect(events.some(({ type }) => type === "range-ignored")).toBe(true);
    expect(ranges).toBe(false);
  });

  it("is resumed as often as needed while each attempt makes progress", async () => {
    const step = 100_000;
    const { bytes, seen } = await read(
      (request, response) => {
        const start = rangeOf(request)?.[0] ?? 0;
        const end = Math.min(start + step, BLOB.length);
        const length = { "content-length": BLOB.length - start };
        const range = { "content-range": `bytes ${start}-${BLOB.length - 1}/${BLOB.length}` };
        if (start === 0) cut(response, 200, length, BLOB.subarray(0, end));
        else if (end < BLOB.length) cut(response, 206, { ...length, ...range }, BLOB.subarray(start, end));
        else honest(request, response);
      },
      undefined,
      { retries: 1 },
    );
    expect(same(bytes)).toBe(true);
    expect(seen.length).toBe(Math.ceil(BLOB.length / step));
  });

  it("fails with the number of attempts when nothing comes any more", async () => {
    const clock = fakeClock();
    const { bytes, seen, events } = await read(
      (_request, response, nth) => {
        if (nth === 0) cut(response, 200, { "content-length": BLOB.length }, BLOB.subarray(0, 1000));
        else response.destroy();
      },
      undefined,
      { retries: 3, clock },
    );
    expect(bytes).toMatchObject({ code: "REGISTRY_UNREACHABLE", message: expect.stringContaining("after 4 attempts") });
    // The attempt that made progress does not count: three retries follow it.
    expect(seen).toHaveLength(4);
    expect(events.filter(({ type }) => type === "retry")).toHaveLength(3);
    expect(clock.slept).toEqual([250, 500, 1000]);
  });

  it("is refused when its length is another than the descriptor's", async () => {
    const { bytes } = await read((_request, response) => response.end(Buffer.alloc(10)));
    expect(bytes).toMatchObject({ code: "SIZE_MISMATCH" });
  });

  it("is refused when a body without length does not end", async () => {
    const { bytes } = await read((_request, response) => {
      response.write(BLOB);
      response.end("more");
    });
    expect(bytes).toMatchObject({ code: "SIZE_MISMATCH" });
  });

  it("names a Content-Encoding that changes its size", async () => {
    const { bytes } = await read((_request, response) =>
      response.writeHead(200, { "content-encoding": "gzip", "content-length": 10 }).end(Buffer.alloc(10)),
    );
    expect(bytes).toMatchObject({ code: "SIZE_MISMATCH", message: expect.stringContaining("gzip") });
  });

  it("of no bytes needs no request", async () => {
    const empty = describeBlob(Buffer.alloc(0));
    await using client = testClient();
    expect(await collect(client.blobs(at("127.0.0.1:1")).readBlob(empty))).toHaveLength(0);
  });

  it("that the descriptor carries itself needs no request", async () => {
    const bytes = Buffer.from("inline");
    const blob = { ...describeBlob(bytes), data: bytes.toString("base64") };
    await using client = testClient();
    const source = client.blobs(at("127.0.0.1:1"));
    expect((await collect(source.readBlob(blob, { range: { start: 2, end: 6 } }))).toString()).toBe("line");
  });

  it("ends with INTERRUPTED at once when the caller gives up, and closes the connection", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await scriptedServer((_request, response) => {
      response.on("close", () => closed.resolve());
      response.writeHead(200, { "content-length": BLOB.length }).write(BLOB.subarray(0, 1000));
    });
    await using client = testClient();
    const controller = new AbortController();
    const reading = (async () => {
      for await (const chunk of client.blobs(at(server.host)).readBlob(DESCRIPTOR, { signal: controller.signal })) {
        expect(chunk.length).toBeGreaterThan(0);
        controller.abort();
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "INTERRUPTED" });
    await closed.promise;
  });

  it("closes the connection when the consumer stops reading", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await scriptedServer((_request, response) => {
      response.on("close", () => closed.resolve());
      response.writeHead(200, { "content-length": BLOB.length }).write(BLOB.subarray(0, 1000));
    });
    await using client = testClient();
    for await (const chunk of client.blobs(at(server.host)).readBlob(DESCRIPTOR)) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await closed.promise;
  });
});

const unsatisfied: Script = (_request, response) => response.writeHead(416, { "content-range": "bytes */77" }).end();

const refusing =
  (status: number): Script =>
  (request, response) => {
    if (request.headers.range === undefined) response.end(BLOB);
    else response.writeHead(status).end("no ranges here");
  };

describe("a range", () => {
  const start = 2 * MIB;
  const end = start + 1000;

  it("is exactly the bytes asked for", async () => {
    const { bytes, seen, ranges } = await read(honest, { start, end });
    expect(same(bytes, start, end)).toBe(true);
    expect(seen[0]?.headers.range).toBe(`bytes=${start}-${end - 1}`);
    expect(ranges).toBe(true);
  });

  it("that comes short is continued from where it ended", async () => {
    const { bytes, seen, events } = await read(
      (request, response) => {
        const from = rangeOf(request)?.[0] ?? 0;
        partial(response, from, Math.min(from + 300, end));
      },
      { start, end },
    );
    expect(same(bytes, start, end)).toBe(true);
    expect(seen.map(({ headers }) => headers.range)).toEqual(
      [0, 300, 600, 900].map((offset) => `bytes=${start + offset}-${end - 1}`),
    );
    expect(events.some(({ type }) => type === "retry")).toBe(false);
  });

  it("that comes longer than asked for is trimmed", async () => {
    const { bytes } = await read((_request, response) => partial(response, start, end + 5000), { start, end });
    expect(same(bytes, start, end)).toBe(true);
  });

  it("is RANGE_UNSUPPORTED far from the start when the host answers 200, without reading the body", async () => {
    const { bytes, seen, events, ranges } = await read(
      (_request, response) => response.writeHead(200, { "content-length": BLOB.length }).end(BLOB),
      { start, end },
    );
    expect(bytes).toMatchObject({ code: "RANGE_UNSUPPORTED" });
    expect(seen).toHaveLength(1);
    expect(events.map(({ type }) => type)).toEqual(["request", "range-ignored"]);
    expect(ranges).toBe(false);
  });

  it("near the start is read out of a 200", async () => {
    const { bytes } = await read(
      (_request, response) => response.writeHead(200, { "content-length": BLOB.length }).end(BLOB),
      { start: 5000, end: 6000 },
    );
    expect(same(bytes, 5000, 6000)).toBe(true);
  });

  it("is not asked for again of a host that is known not to serve any", async () => {
    await using server = await scriptedServer((_request, response) => response.end(BLOB));
    await using client = testClient();
    const blobs = client.blobs(at(server.host));
    for (let again = 0; again < 2; again++) {
      await expect(collect(blobs.readBlob(DESCRIPTOR, { range: { start, end } }))).rejects.toMatchObject({
        code: "RANGE_UNSUPPORTED",
      });
    }
    expect(server.seen).toHaveLength(1);
  });

  for (const [what, headers] of Object.entries({
    "begins elsewhere": { "content-range": `bytes 0-999/${BLOB.length}`, "content-length": 1000 },
    "has a reversed Content-Range": { "content-range": `bytes ${end}-${start}/${BLOB.length}` },
    "has a Content-Range that is none": { "content-range": "pages 1-2/3" },
    "has a length that contradicts its Content-Range": { "content-length": 900 },
    "is multipart": { "content-type": "multipart/byteranges; boundary=CloudFront:abc" },
  })) {
    it(`is not taken from a 206 that ${what}`, async () => {
      const { bytes, ranges } = await read(
        (_request, response) => {
          const own = { "content-range": `bytes ${start}-${end - 1}/${BLOB.length}`, "content-length": 1000 };
          const all = { ...own, ...headers };
          response.writeHead(206, all).end(Buffer.alloc(all["content-length"]));
        },
        { start, end },
      );
      expect(bytes).toMatchObject({ code: "RANGE_UNSUPPORTED" });
      expect(ranges).toBe(false);
    });
  }

  it("is SIZE_MISMATCH when the server's blob has another size", async () => {
    const script: Script = (_request, response) =>
      response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/99999999` }).end(BLOB.subarray(start, end));
    expect((await read(script, { start, end })).bytes).toMatchObject({ code: "SIZE_MISMATCH" });
    expect((await read(unsatisfied, { start, end })).bytes).toMatchObject({ code: "SIZE_MISMATCH" });
  });

  for (const status of [400, 416, 501]) {
    it(`that is refused with ${status} is read without Range near the start, else unsupported`, async () => {
      expect(same((await read(refusing(status), { start: 10, end: 20 })).bytes, 10, 20)).toBe(true);
      expect((await read(refusing(status), { start, end })).bytes).toMatchObject({ code: "RANGE_UNSUPPORTED" });
    });
  }

  it("may come without the total size", async () => {
    const { bytes } = await read(
      (_request, response) => partial(response, start, end, { "content-range": `bytes ${start}-${end - 1}/*` }),
      { start, end },
    );
    expect(same(bytes, start, end)).toBe(true);
  });

  it("is not accepted as an answer to a request for the whole blob", async () => {
    const { bytes } = await read((_request, response) => partial(response, 0, 1000));
    expect(bytes).toMatchObject({ code: "REGISTRY_PROTOCOL" });
  });
});

describe("what is not there", () => {
  it("is BLOB_UNKNOWN at once, with the registry's words", async () => {
    const { bytes, seen } = await read((_request, response) =>
      response
        .writeHead(404)
        .end(JSON.stringify({ errors: [{ code: "BLOB_UNKNOWN", message: "gone \u001b[31mred" }] })),
    );
    expect(bytes).toMatchObject({
      code: "BLOB_UNKNOWN",
      message: expect.stringContaining("BLOB_UNKNOWN: gone  [31mred"),
    });
    expect(seen).toHaveLength(1);
  });
});

describe("--limit-rate", () => {
  it("is one bucket for all bodies", async () => {
    const clock = fakeClock();
    await using server = await scriptedServer(honest);
    await using client = testClient({ clock, limitRate: MIB });
    const blobs = client.blobs(at(server.host));
    await Promise.all([collect(blobs.readBlob(DESCRIPTOR)), collect(blobs.readBlob(DESCRIPTOR))]);
    const slept = clock.slept.reduce((sum, ms) => sum + ms, 0);
    expect(slept).toBeGreaterThan(5000);
    expect(slept).toBeLessThan(6100);
  });
});
