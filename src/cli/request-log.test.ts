/** What --debug tells of HTTP: every request that undici or Node's own client makes, and no secret. */
import { createServer, get, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { request } from "undici";
import { logRequests } from "./request-log.ts";

let server: Server;
let origin: string;

beforeAll(async () => {
  server = createServer((_, response) => response.writeHead(206).end("x"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => server.close());

async function logged(path: string, headers: Record<string, string> = {}): Promise<string[]> {
  const lines: string[] = [];
  using _log = logRequests({ debug: (line) => void lines.push(line) }, () => 5);
  await request(origin + path, { headers }).then(
    ({ body }) => body.dump(),
    () => undefined,
  );
  return lines;
}

it("tells of a request and its answer in one line", async () => {
  expect(await logged("/v2/a/manifests/1")).toEqual([`GET ${origin}/v2/a/manifests/1: 206 after 0 ms`]);
  expect(await logged("/v2/a/blobs/b", { Range: "bytes=1-2", authorization: "Bearer s3cret" })).toEqual([
    `GET ${origin}/v2/a/blobs/b (bytes=1-2, with Bearer): 206 after 0 ms`,
  ]);
});

it("shows of a query what cannot be a secret", async () => {
  const [line] = await logged("/token?scope=repository:a:pull&account=me&X-Amz-Signature=s3cret&=");
  expect(line).toContain("/token?scope=repository:a:pull&account=...&X-Amz-Signature=...&=...: 206");
});

it("tells why a request failed, and nothing once it is over", async () => {
  const lines: string[] = [];
  const log = logRequests({ debug: (line) => void lines.push(line) }, () => 5);
  await expect(request("http://127.0.0.1:1/v2/")).rejects.toThrow("ECONNREFUSED");
  expect(lines).toEqual(["GET http://127.0.0.1:1/v2/: ECONNREFUSED after 0 ms"]);
  log[Symbol.dispose]();
  await expect(request("http://127.0.0.1:1/v2/")).rejects.toThrow("ECONNREFUSED");
  expect(lines).toHaveLength(1);
});

it("tells of what Node's own client asks for just the same", async () => {
  const lines: string[] = [];
  using _log = logRequests({ debug: (line) => void lines.push(line) }, () => 5);
  const ask = (url: string): Promise<unknown> =>
    new Promise((resolve) => {
      get(url, { headers: { authorization: "Bearer s3cret" } }, (answer) => answer.resume().once("end", resolve)).once(
        "error",
        resolve,
      );
    });
  await ask(`${origin}/v2/a/manifests/1?account=me`);
  await ask("http://127.0.0.1:1/v2/");
  expect(lines).toEqual([
    `GET ${origin}/v2/a/manifests/1?account=... (with Bearer): 206 after 0 ms`,
    "GET http://127.0.0.1:1/v2/ (with Bearer): ECONNREFUSED after 0 ms",
  ]);
});
