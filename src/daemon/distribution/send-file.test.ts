import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { open, readdir, readlink, truncate, writeFile } from "node:fs/promises";
import { createServer, get, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { request, Agent } from "undici";
import { describe, expect, it } from "vitest";
import { isVarveError } from "../../errors/varve-error.ts";
import { canSendToSocket, isInMemory } from "../../sys/file-to-socket.ts";
import { withoutFfi } from "../../sys/libc.ts";
import { heldByBuffers } from "../../../test/kit/memory/held-by-buffers.ts";
import { listen } from "../../../test/kit/net/listen.ts";
import { rawExchange } from "../../../test/kit/net/raw-exchange.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { makeCertificate } from "../../../test/kit/tls/certificate.ts";
import { sendFile } from "./send-file.ts";

const MIB = 1 << 20;

interface Bench extends AsyncDisposable {
  readonly host: string;
  readonly path: string;
  readonly content: Buffer;
  /** How each response ended: the bytes that went out, or a code. */
  readonly ends: (number | string)[];
  /** Settles when so many have ended. */
  ended(count: number): Promise<void>;
  /** Settles when so many descriptors of this process stand for the file. */
  opened(count: number): Promise<void>;
  readonly stop: AbortController;
}

interface BenchOptions {
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Called when a response is about to be sent. */
  readonly before?: (bench: Bench, response: ServerResponse) => Promise<void>;
}

/** A server of one file; `Range: bytes=A-B` is the only way in which less of it is asked for. */
async function serve(size: number, options: BenchOptions = {}): Promise<Bench> {
  const dir = await tempDir();
  const path = join(dir.path, "blob");
  const content = randomBytes(size);
  await writeFile(path, content);
  const ends: (number | string)[] = [];
  const stop = new AbortController();
  const answer = async (asked: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [from = "0", to = String(size - 1)] = asked.headers.range?.slice("bytes=".length).split("-") ?? [];
    const [start, end] = [Number(from), Number(to) + 1];
    response.writeHead(200, { "content-length": end - start });
    await options.before?.(bench, response);
    ends.push(await sendFile(response, { path, start, end }, stop.signal));
  };
  const listener: RequestListener = (asked, response) => {
    answer(asked, response).catch((error: unknown) => {
      ends.push(isVarveError(error) ? error.code : String(error));
      response.destroy();
    });
  };
  const { tls } = options;
  const server = await listen(tls === undefined ? createServer(listener) : createTlsServer(tls, listener));
  const bench: Bench = {
    host: server.host,
    path,
    content,
    ends,
    stop,
    ended: (count) => expect.poll(() => ends.length, { timeout: 30_000 }).toBe(count),
    opened: (count) => expect.poll(() => openTimes(path), { timeout: 30_000 }).toBe(count),
    async [Symbol.asyncDispose]() {
      await server.close();
      await dir[Symbol.asyncDispose]();
    },
  };
  return bench;
}

async function fetchHash(url: string, headers: Record<string, string> = {}, dispatcher?: Agent): Promise<string> {
  const { body } = await request(url, { headers, ...(dispatcher !== undefined && { dispatcher }) });
  const hash = createHash("sha256");
  for await (const chunk of body) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** How many descriptors of this process stand for the file. */
async function openTimes(path: string): Promise<number> {
  const links = await Promise.all(
    (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")),
  );
  return links.filter((link) => link === path).length;
}

async function tellsWhatIsInMemory(path: string): Promise<boolean> {
  await using file = await open(path);
  return canSendToSocket() && isInMemory(file.fd, 0);
}

/** Asks and never reads more than what its socket takes by itself. */
async function askWithoutReading(host: string): Promise<Socket> {
  const [address, port] = host.split(":");
  const socket = connect({ host: address!, port: Number(port) }).pause();
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  return socket;
}

describe.each([
  { how: "with foreign calls", native: true },
  { how: "in plain Node", native: false },
])("a file as the body of a response, $how", ({ native }) => {
  const start = async (size: number, options?: BenchOptions): Promise<Bench> => {
    const forced = native ? undefined : withoutFfi();
    const bench = await serve(size, options);
    const dispose = bench[Symbol.asyncDispose];
    return {
      ...bench,
      async [Symbol.asyncDispose]() {
        await dispose();
        forced?.[Symbol.dispose]();
      },
    };
  };

  it.each([0, 1, 65_535, 65_536, 65_537, 3 * MIB + 17])("of %i bytes arrives as it is", async (size) => {
    await using bench = await start(size);
    expect(await fetchHash(`http://${bench.host}/`)).toBe(sha256(bench.content));
    await bench.ended(1);
    expect(bench.ends).toEqual([size]);
    await bench.opened(0);
  });

  it("arrives in any range of it, over one connection that stays", async () => {
    await using bench = await start(5 * MIB + 3);
    const agent = new Agent({ connections: 1, pipelining: 1 });
    for (let round = 0; round < 40; round += 1) {
      const [a, b] = [Math.random(), Math.random()]
        .map((at) => Math.floor(at * bench.content.length))
        .toSorted((x, y) => x - y);
      const got = await fetchHash(`http://${bench.host}/`, { range: `bytes=${a}-${b}` }, agent);
      expect(got, `bytes=${a}-${b}`).toBe(sha256(bench.content.subarray(a, b! + 1)));
    }
    await agent.close();
  });

  it("keeps to its frame: what follows on the connection is the next answer", async () => {
    await using bench = await start(2 * MIB + 5);
    const [address, port] = bench.host.split(":");
    const socket = connect({ host: address!, port: Number(port) });
    const ask = `GET / HTTP/1.1\r\nHost: ${bench.host}\r\n\r\n`;
    socket.write(ask.repeat(4) + ask.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    const received = Buffer.concat((await socket.toArray()) as Buffer[]);
    let at = 0;
    for (let answer = 0; answer < 5; answer += 1) {
      expect(received.toString("latin1", at, at + 15)).toBe("HTTP/1.1 200 OK");
      at = received.indexOf("\r\n\r\n", at) + 4;
      expect(received.subarray(at, at + bench.content.length).equals(bench.content)).toBe(true);
      at += bench.content.length;
    }
    expect(at).toBe(received.length);
  });

  it("does not pass through this process where it can go by itself", async () => {
    let socket: Socket | undefined;
    await using bench = await start(8 * MIB, { before: async (_, response) => void (socket = response.req.socket) });
    expect(await fetchHash(`http://${bench.host}/`)).toBe(sha256(bench.content));
    await bench.ended(1);
    const passed = socket!.bytesWritten;
    // A temporary directory in memory cannot say what is in memory, and then all of it is read.
    if (native && (await tellsWhatIsInMemory(bench.path))) expect(passed).toBeLessThan(7 * MIB);
    else expect(passed).toBeGreaterThan(8 * MIB);
  });

  it("is not sent to who asked for the head alone", async () => {
    await using bench = await start(MIB);
    const { head, body } = await rawExchange(bench.host, "HEAD /");
    expect(head).toContain(`content-length: ${MIB}`);
    expect(body.length).toBe(0);
    await bench.ended(1);
    expect(bench.ends).toEqual([0]);
  });

  it("goes to two hundred at once", async () => {
    await using bench = await start(600_001);
    const want = sha256(bench.content);
    const agent = new Agent({ connections: 200 });
    const got = await Promise.all(Array.from({ length: 200 }, () => fetchHash(`http://${bench.host}/`, {}, agent)));
    expect(new Set(got)).toEqual(new Set([want]));
    await agent.close();
    await bench.opened(0);
  });

  it("lets go of the file when the client leaves midway", async () => {
    await using bench = await start(24 * MIB);
    for (const bytes of [1, MIB, 5 * MIB]) await rawExchange(bench.host, "GET /", [], { stopAfterBody: bytes });
    await bench.ended(3);
    for (const end of bench.ends) expect(end).toBeLessThan(24 * MIB);
    await bench.opened(0);
  });

  it("holds little of it for clients that do not read, and other clients are served meanwhile", async () => {
    await using bench = await start(24 * MIB);
    const before = await heldByBuffers();
    const lazy = await Promise.all(Array.from({ length: 150 }, () => askWithoutReading(bench.host)));
    await bench.opened(150);
    expect(await fetchHash(`http://${bench.host}/`)).toBe(sha256(bench.content));
    // Large buffers for some, small ones for the others; the rest is what the client here has not let go of yet.
    expect((await heldByBuffers()) - before).toBeLessThan(32 * 512 * 1024 + 150 * 64 * 1024 + 16 * MIB);
    for (const socket of lazy) socket.destroy();
    await bench.ended(151);
    await bench.opened(0);
  });

  it("that became shorter ends in a broken connection, never in a short body", async () => {
    await using bench = await start(8 * MIB, { before: ({ path }) => truncate(path, 3 * MIB + 1) });
    const { body, ended } = await rawExchange(bench.host, "GET /");
    await bench.ended(1);
    expect(bench.ends).toEqual(["STORE_CORRUPT"]);
    expect(body.length).toBeLessThanOrEqual(3 * MIB + 1);
    expect(["end", "ECONNRESET"]).toContain(ended);
    const failed = await request(`http://${bench.host}/`)
      .then(({ body: rest }) => rest.arrayBuffer())
      .catch((error: Error) => error);
    expect(failed).toBeInstanceOf(Error);
  });

  it("is broken off when the daemon stops", async () => {
    await using bench = await start(24 * MIB);
    const socket = await askWithoutReading(bench.host);
    await bench.opened(1);
    bench.stop.abort();
    await bench.ended(1);
    socket.resume();
    await once(socket, "close");
    expect(await openTimes(bench.path)).toBe(0);
  });

  it("arrives over TLS", async () => {
    const tls = makeCertificate();
    await using bench = await start(9 * MIB + 1, { tls });
    const agent = new Agent({ connect: { ca: tls.cert }, connections: 1 });
    expect(await fetchHash(`https://${bench.host}/`, {}, agent)).toBe(sha256(bench.content));
    expect(await fetchHash(`https://${bench.host}/`, { range: "bytes=70000-7000000" }, agent)).toBe(
      sha256(bench.content.subarray(70_000, 7_000_001)),
    );
    await agent.close();
  });

  it("arrives over a Unix socket", async () => {
    await using dir = await tempDir();
    const content = randomBytes(6 * MIB + 1);
    const [path, socketPath] = [join(dir.path, "blob"), join(dir.path, "s")];
    await writeFile(path, content);
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-length": content.length });
      void sendFile(response, { path, start: 0, end: content.length }, new AbortController().signal);
    });
    server.listen(socketPath);
    await once(server, "listening");
    const [answer] = (await once(get({ socketPath }), "response")) as [IncomingMessage];
    expect(Buffer.concat((await answer.toArray()) as Buffer[]).equals(content)).toBe(true);
    server.close();
  });

  it("that is not there leaves the response to whoever answers", async () => {
    const server = await listen(
      createServer((_, response) => {
        const { signal } = new AbortController();
        sendFile(response, { path: "/no/such/file", start: 0, end: 1 }, signal).catch((error: unknown) => {
          response.writeHead(404).end(isVarveError(error) ? error.code : "");
        });
      }),
    );
    const { statusCode, body } = await request(`http://${server.host}/`);
    expect([statusCode, await body.text()]).toEqual([404, "BLOB_UNKNOWN"]);
    await server.close();
  });
});
