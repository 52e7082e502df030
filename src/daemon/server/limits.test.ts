/** What one client can make the daemon spend: sizes, times, how many and how often. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import { startTestDaemon, type TestDaemon } from "../../../test/kit/daemon/start-daemon.ts";

/** A connection by hand; `answer` is all that came until it was closed. */
function dial({ host }: TestDaemon, ...lines: readonly string[]): { socket: Socket; answer: Promise<string> } {
  const [address = "", port] = host.split(":");
  const socket = connect(Number(port), address);
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  const { promise: answer, resolve } = Promise.withResolvers<string>();
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.once("close", () => resolve(text));
  socket.write(lines.join("\r\n"));
  return { socket, answer };
}

describe("time", () => {
  it("is short for headers, however a client drips them", async () => {
    const daemon = await startTestDaemon({ config: { limits: { headersMs: 100 } } });
    const { socket, answer } = dial(daemon, "GET /healthz HTTP/1.1", "Host: localhost", "");
    const drip = setInterval(() => socket.write("X-Slow: 1\r\n"), 20);
    socket.once("close", () => clearInterval(drip));
    expect(await answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  it("is short for connections on which nothing is asked", async () => {
    const daemon = await startTestDaemon({ config: { limits: { idleMs: 100 } } });
    expect(await dial(daemon, "").answer).toBe("");
  });

  it("is short for a body that does not come", async () => {
    const daemon = await startTestDaemon({ config: { limits: { idleMs: 100 }, allowPush: true } });
    const head = [
      "POST /v2/a/blobs/uploads/?digest=sha256:00 HTTP/1.1",
      "Host: localhost",
      "Content-Length: 1000",
      "",
      "x",
    ];
    const { answer } = dial(daemon, ...head);
    // Answered or not, it is ended.
    expect(await answer).not.toContain("HTTP/1.1 2");
  });

  it("is short for an answer that nobody reads", async () => {
    const daemon = await startTestDaemon({ config: { limits: { idleMs: 200 }, allowPush: true } });
    // More than the buffers of both sides hold.
    const blob = Buffer.alloc(48 * 1024 * 1024, "varve");
    const digest = digestOf(blob);
    const type = { "content-type": "application/octet-stream" };
    const pushed = await daemon.call("POST", `/v2/a/blobs/uploads/?digest=${digest}`, type, blob);
    expect(pushed.status).toBe(201);
    const { socket } = dial(daemon, `GET /v2/a/blobs/${digest} HTTP/1.1`, "Host: localhost", "", "");
    socket.pause();
    const cutOff = (): unknown => daemon.log.find(({ method, isCutOff }) => method === "GET" && isCutOff === true);
    await expect.poll(cutOff, { timeout: 10_000 }).toMatchObject({ path: `/v2/a/blobs/${digest}`, status: 200 });
  });

  it("is the daemon's own to take: who waits for an answer is not sent away", async () => {
    const daemon = await startTestDaemon({ config: { limits: { idleMs: 100 } } });
    const head = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const { socket } = dial(daemon, head);
    await once(socket, "data");
    const closed = once(socket, "close").then(() => "closed");
    // Other connections are ended meanwhile, which is what would have ended this one.
    for (let others = 0; others < 3; others++) await dial(daemon, "").answer;
    expect(await Promise.race([closed, Promise.resolve("open")])).toBe("open");
    expect(socket.destroyed).toBe(false);
  });
});

describe("size", () => {
  it("of headers is bounded", async () => {
    const daemon = await startTestDaemon();
    const large = `X-Large: ${"x".repeat(40_000)}`;
    const { answer } = dial(daemon, "GET /healthz HTTP/1.1", "Host: localhost", large, "", "");
    expect(await answer).toMatch(/^HTTP\/1\.1 431 /);
  });

  it("of a body is looked at before it is asked for", async () => {
    const daemon = await startTestDaemon({ config: { allowPush: true } });
    const expecting = (line: string, length: number) =>
      dial(daemon, line, "Host: localhost", `Content-Length: ${length}`, "Expect: 100-continue", "", "");
    const refused = await expecting("PUT /v2/a/manifests/latest HTTP/1.1", 100_000_000).answer;
    expect(refused).toMatch(/^HTTP\/1\.1 413 /);
    expect(refused.toLowerCase()).toContain("connection: close");
    expect(await expecting("POST /v1/pulls HTTP/1.1", 100_000_000).answer).toMatch(/^HTTP\/1\.1 4/);
    const body = "{}";
    const { socket } = expecting("PUT /v2/a/manifests/latest HTTP/1.1", body.length);
    expect(String((await once(socket, "data"))[0])).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    socket.write(body);
    expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1\.1 201 /);
  });

  it("of a request to the API is bounded, said beforehand or not", async () => {
    const { call } = await startTestDaemon({ config: { limits: { bodyBytes: 2000 } } });
    const body = JSON.stringify({ reference: "x".repeat(3000) });
    const headers = { "content-type": "application/json" };
    async function* chunks(): AsyncIterable<Uint8Array> {
      yield Buffer.from(body);
    }
    for (const sent of [body, chunks()]) {
      const answer = await call("POST", "/v1/pulls", headers, sent);
      expect(answer.status).toBe(413);
      expect(answer.json()).toMatchObject({ error: { code: "REQUEST_TOO_LARGE" } });
    }
  });

  it("of an URL that cannot be decoded is no matter: it is a bad request", async () => {
    const { call } = await startTestDaemon();
    const answer = await call("GET", "/v1/images/%zz");
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ error: { code: "REQUEST_INVALID" } });
  });
});

describe("number", () => {
  it("of requests at once is bounded: one more is to come again, and whether it lives can still be asked", async () => {
    const daemon = await startTestDaemon({ config: { limits: { concurrentRequests: 2 } } });
    const streams = [1, 2].map(() => dial(daemon, "GET /v1/events HTTP/1.1", "Host: localhost", "", "").socket);
    await Promise.all(streams.map((socket) => once(socket, "data")));
    const refused = await daemon.call("GET", "/v2/");
    expect(refused).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
    expect((await daemon.call("GET", "/v1/version")).json()).toMatchObject({ error: { code: "DAEMON_BUSY" } });
    expect((await daemon.call("GET", "/healthz")).status).toBe(200);
    for (const socket of streams) socket.destroy();
    // They are over when their connections are; then there is room again.
    await expect.poll(async () => (await daemon.call("GET", "/v1/version")).status).toBe(200);
  });

  it("of requests in a time is bounded for each client", async () => {
    const { call } = await startTestDaemon({ config: { limits: { requestsPerSecond: 1 } } });
    const answers = await Promise.all(Array.from({ length: 15 }, () => call("GET", "/v1/version")));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(10);
    expect(refused[0]?.headers["retry-after"]).toBe("1");
    expect(refused[0]?.json()).toMatchObject({ error: { code: "TOO_MANY_REQUESTS" } });
    expect((await call("GET", "/v2/")).code()).toBe("TOOMANYREQUESTS");
  });
});
