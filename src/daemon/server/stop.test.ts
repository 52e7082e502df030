/** The end of a daemon: what is under way is given its time, and no more. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { startTestDaemon, type TestDaemon, type TestDaemonOptions } from "../../../test/kit/daemon/start-daemon.ts";
import { listen } from "../../../test/kit/net/listen.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf } from "../../oci/digest.ts";

const BLOB = Buffer.alloc(6_000_000, "varve");
const DIGEST = digestOf(BLOB);

interface Upstream {
  readonly host: string;
  /** Resolves when the blob is asked for; its answer has been begun and waits to be ended. */
  readonly asked: Promise<ServerResponse>;
}

/** A registry with one blob, of which it sends the first half, and the rest when it is told to. */
async function upstream(): Promise<Upstream> {
  const asked = Promise.withResolvers<ServerResponse>();
  const server = createServer((request, response) => {
    if (request.url?.includes("/blobs/") !== true) {
      response.writeHead(request.url === "/v2/" ? 200 : 404).end();
      return;
    }
    response.writeHead(200, { "content-length": BLOB.length, "content-type": "application/octet-stream" });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    response.write(BLOB.subarray(0, 3_000_000));
    asked.resolve(response);
  });
  const listening = await listen(server);
  onTestFinished(() => listening.close());
  return { host: listening.host, asked: asked.promise };
}

/** A request by hand: what came of it, and how it ended. */
function dial({ host }: TestDaemon, path: string): { socket: Socket; body: Promise<Buffer> } {
  const [address = "", port] = host.split(":");
  const socket = connect(Number(port), address);
  onTestFinished(() => void socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
  socket.on("error", () => undefined);
  const body = once(socket, "close").then(() => {
    const all = Buffer.concat(chunks);
    return all.subarray(all.indexOf("\r\n\r\n") + 4);
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  return { socket, body };
}

async function midway(
  options: TestDaemonOptions,
): Promise<{ daemon: TestDaemon; body: Promise<Buffer>; response: ServerResponse }> {
  const { host, asked } = await upstream();
  const daemon = await startTestDaemon({ upstreams: [host], ...options });
  const { socket, body } = dial(daemon, `/v2/${host}/team/app/blobs/${DIGEST}`);
  const response = await asked;
  await once(socket, "data");
  return { daemon, body, response };
}

it("lets a blob that is under way arrive whole", async () => {
  const { daemon, body, response } = await midway({ config: { limits: { graceMs: 30_000 } } });
  const stopped = daemon.stop();
  await expect(daemon.call("GET", "/readyz")).rejects.toThrow(/ECONNREFUSED|other side closed/);
  response.end(BLOB.subarray(3_000_000));
  expect(digestOf(await body)).toBe(DIGEST);
  await stopped;
  expect(daemon.log.map(({ message }) => message)).toContain("stopped");
});

it("ends it when its time is over, and keeps what came of it", async () => {
  await using dir = await tempDir();
  const { daemon, body } = await midway({ root: `${dir.path}/store`, config: { limits: { graceMs: 50 } } });
  await daemon.stop();
  expect((await body).length).toBeLessThan(BLOB.length);
  expect(await readdir(`${dir.path}/store/ingest`)).not.toEqual([]);
});

it("says that it is stopping to those that are still connected, and ends streams of events at once", async () => {
  const { daemon, response, body } = await midway({ config: { limits: { graceMs: 30_000 } } });
  const events = dial(daemon, "/v1/events");
  await once(events.socket, "data");
  const [address = "", port] = daemon.host.split(":");
  const kept = connect(Number(port), address);
  onTestFinished(() => void kept.destroy());
  // A request that is half there keeps the connection from being an idle one.
  kept.write("GET /readyz HTTP/1.1\r\nHost: localhost\r\n");
  await daemon.call("GET", "/healthz");
  const stopped = daemon.stop();
  await events.body;
  kept.write("\r\n");
  const answer = String((await once(kept, "data"))[0]);
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer).toContain('{"status":"stopping"}');
  expect(answer.toLowerCase()).toContain("connection: close");
  response.end(BLOB.subarray(3_000_000));
  await body;
  await stopped;
});

it("takes away the file that says where it listens, and lets another serve the store", async () => {
  await using dir = await tempDir();
  const root = `${dir.path}/store`;
  const addressFile = `${dir.path}/address`;
  const first = await startTestDaemon({ root, config: { listen: { addressFile } } });
  expect(await readFile(addressFile, "utf8")).toBe(`${first.host}\n`);
  await expect(startTestDaemon({ root })).rejects.toMatchObject({ code: "DAEMON_RUNNING" });
  expect((await first.call("GET", "/readyz")).status).toBe(200);
  await first.stop();
  await first.stop();
  expect(await readdir(dir.path)).toEqual(["store"]);
  const second = await startTestDaemon({ root });
  expect((await second.call("GET", "/readyz")).status).toBe(200);
});
