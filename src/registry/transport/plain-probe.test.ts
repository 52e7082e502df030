import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer, type Server, type Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { listen } from "../../../test/kit/net/listen.ts";
import { makeCertificate } from "../../../test/kit/tls/certificate.ts";
import { speaksPlainHttp } from "./plain-probe.ts";

async function hostOf(server: Server): Promise<string> {
  const listening = await listen(server);
  onTestFinished(() => listening.close());
  return listening.host;
}

/** A server that answers the first line it gets, as those do that read whole lines before they judge them. */
function byLine(answer: (socket: Socket) => void): Server {
  return createServer((socket) => {
    let heard = "";
    socket
      .on("error", () => undefined)
      .on("data", (bytes) => {
        heard += bytes.toString("latin1");
        if (heard.includes("\n")) answer(socket);
      });
  });
}

it("knows a server of plain HTTP, and sends it no request", async () => {
  let requests = 0;
  const server = createHttpServer((_, response) => {
    requests++;
    response.end();
  });
  expect(await speaksPlainHttp(await hostOf(server), undefined)).toBe(true);
  expect(requests).toBe(0);
});

it("knows one that reads a whole line first, and one that answers in pieces", async () => {
  const whole = byLine((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  expect(await speaksPlainHttp(await hostOf(whole), undefined)).toBe(true);
  const pieces = byLine((socket) => socket.write("HT", () => setImmediate(() => socket.end("TP/1.0 400\r\n\r\n"))));
  expect(await speaksPlainHttp(await hostOf(pieces), undefined)).toBe(true);
});

it("does not take a TLS server for one of plain HTTP", async () => {
  const { cert, key } = makeCertificate();
  const server = createHttpsServer({ cert, key }).on("tlsClientError", () => undefined);
  expect(await speaksPlainHttp(await hostOf(server), undefined)).toBe(false);
});

it("says no where nobody listens, where the line is cut, and where something else answers", async () => {
  expect(await speaksPlainHttp("127.0.0.1:1", undefined)).toBe(false);
  expect(await speaksPlainHttp(await hostOf(byLine((socket) => socket.destroy())), undefined)).toBe(false);
  expect(await speaksPlainHttp(await hostOf(byLine((socket) => socket.end("SSH-2.0"))), undefined)).toBe(false);
});

it("gives up at once when it is told to stop", async () => {
  const silent = createServer((socket) => socket.on("error", () => undefined).resume());
  const stop = new AbortController();
  const host = await hostOf(silent);
  const connected = once(silent, "connection");
  const asked = speaksPlainHttp(host, stop.signal);
  await connected;
  stop.abort();
  expect(await asked).toBe(false);
  expect(await speaksPlainHttp(host, AbortSignal.abort())).toBe(false);
});
