import { createServer, type RequestListener } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { listen } from "../../../test/kit/net/listen.ts";
import { resolveSettings, type Timeouts } from "../options.ts";
import { readBounded } from "./body.ts";
import { LightClient } from "./light-client.ts";
import { networkFailure } from "./network-failure.ts";
import { DEFAULT_TLS } from "./trust.ts";
import type { WireAnswer, WireRequest } from "./wire.ts";

interface Asked extends Partial<WireRequest> {
  readonly timeouts?: Partial<Timeouts>;
}

async function serve(listener: RequestListener) {
  const connections = { count: 0 };
  const server = createServer(listener).on("connection", () => connections.count++);
  const listening = await listen(server);
  onTestFinished(() => listening.close());
  const { host } = listening;
  const client = (timeouts: Partial<Timeouts> = {}): LightClient => {
    const made = new LightClient(resolveSettings({ timeouts, env: {} }));
    onTestFinished(() => made[Symbol.asyncDispose]());
    return made;
  };
  const ask = ({ timeouts, ...rest }: Asked = {}, by = client(timeouts)): Promise<WireAnswer> =>
    by.request({
      method: "GET",
      url: new URL(`http://${host}/`),
      headers: {},
      tls: DEFAULT_TLS,
      connectMs: 1000,
      ...rest,
    });
  return { connections, client, ask };
}

const text = async ({ body }: WireAnswer): Promise<string> => String(await readBounded(body, 1000));
const codeOf = (error: unknown): string => networkFailure(error, "host", "asking").code;

it("keeps its connection from one document to the next, after HEAD as well", async () => {
  const { connections, client, ask } = await serve((_, response) => response.setHeader("content-length", 1).end("x"));
  const one = client();
  expect((await ask({ method: "HEAD" }, one)).status).toBe(200);
  for (let times = 0; times < 3; times++) expect(await text(await ask({}, one))).toBe("x");
  expect(connections.count).toBe(1);
});

it("tells of a header that came several times as a list, and of others as they are", async () => {
  const { ask } = await serve((_, response) => {
    response.writeHead(401, "Who are you", [
      ["WWW-Authenticate", "Basic"],
      ["www-authenticate", "Bearer realm=x"],
      ["Link", "a"],
    ] as never);
    response.end();
  });
  const { status, reason, headers } = await ask();
  expect({ status, reason }).toEqual({ status: 401, reason: "Who are you" });
  expect(headers).toMatchObject({ "www-authenticate": ["Basic", "Bearer realm=x"], link: "a" });
});

it("sends a form with its length", async () => {
  const { ask } = await serve((request, response) => {
    response.setHeader("length", request.headers["content-length"] ?? "none");
    request.pipe(response);
  });
  const answer = await ask({ method: "POST", body: "a=b" });
  expect(answer.headers["length"]).toBe("3");
  expect(await text(answer)).toBe("a=b");
});

it("times out while there are no headers, and while the body stalls", async () => {
  const { ask } = await serve((request, response) => {
    if (request.method === "GET") response.writeHead(200, { "content-length": 9 }).write("x");
  });
  const error = await ask({ method: "POST", timeouts: { headersMs: 30 } }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "UND_ERR_HEADERS_TIMEOUT" });
  expect(codeOf(error)).toBe("REGISTRY_TIMEOUT");
  const answer = await ask({ timeouts: { idleBodyMs: 30 } });
  await expect(text(answer)).rejects.toMatchObject({ code: "UND_ERR_BODY_TIMEOUT" });
});

it("says that a connection broke, before the answer or in the midst of it", async () => {
  const { ask } = await serve((request, response) => {
    if (request.method === "POST") request.socket.destroy();
    else response.writeHead(200, { "content-length": 9 }).write("x", () => request.socket.destroy());
  });
  for (const failing of [ask({ method: "POST" }), ask().then(text)]) {
    const error = await failing.catch((reason: unknown) => reason);
    expect(codeOf(error)).toBe("REGISTRY_UNREACHABLE");
    expect(networkFailure(error, "host", "asking").message).toContain("connection closed before the end");
  }
});

it("refuses headers beyond all bounds", async () => {
  const { ask } = await serve((_, response) => response.writeHead(200, { long: "x".repeat(100_000) }).end());
  const error = await ask().catch((reason: unknown) => reason);
  expect(networkFailure(error, "host", "asking").message).toContain("too long headers");
});

it("ends with its signal, and when it is closed", async () => {
  const { client, ask } = await serve(() => undefined);
  const stop = new AbortController();
  const stopped = ask({ signal: stop.signal });
  stop.abort();
  await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
  const one = client();
  const asked = ask({}, one).catch((reason: unknown) => reason);
  await new Promise(setImmediate);
  await one[Symbol.asyncDispose]();
  expect(codeOf(await asked)).toBe("INTERRUPTED");
});
