/** A server of node:http with the limits that are the connection's: sizes and times of headers, silence, how many there are. */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { LimitsConfig } from "../config/types.ts";
import type { Certificates } from "./certificates.ts";

export type HttpServer = Server | TlsServer;

/** Headers of a request, all together. Tokens of clouds' registries have several KiB. */
const HEADER_BYTES = 32 * 1024;
/** How long a connection may wait for its next request; longer than what proxies in front of daemons usually wait. */
const KEEP_ALIVE_MS = 75_000;
/** Idle connections beside those that requests are under way on. */
const SPARE_CONNECTIONS = 1024;

export function createServer(
  limits: LimitsConfig,
  certificates: Certificates | undefined,
  listener: RequestListener,
): HttpServer {
  const options = {
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: limits.headersMs,
    // Blobs that are pushed take as long as they take, as long as they come.
    requestTimeout: 0,
    keepAliveTimeout: Math.min(KEEP_ALIVE_MS, limits.idleMs),
    connectionsCheckingInterval: Math.max(100, Math.min(5000, limits.headersMs / 2)),
    noDelay: true,
  };
  const server =
    certificates === undefined
      ? createHttpServer(options, listener)
      : createTlsServer(
          { ...options, ...certificates, ca: [...certificates.ca], handshakeTimeout: limits.headersMs },
          listener,
        );
  server.maxConnections = limits.concurrentRequests + SPARE_CONNECTIONS;
  endSilentConnections(server, limits.idleMs);
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    continueWhenRead(request, response);
    server.emit("request", request, response);
  });
  return server;
}

/**
 * Who asks whether to send a body (RFC 9110 §10.1.1) is told so by whoever begins to read it. Who is answered before has sent none, and what
 * would come next on the connection cannot be told from it.
 */
function continueWhenRead(request: IncomingMessage, response: ServerResponse): void {
  const read = request._read.bind(request);
  response.shouldKeepAlive = false;
  request._read = (size) => {
    request._read = read;
    if (!response.headersSent) {
      response.shouldKeepAlive = true;
      response.writeContinue();
    }
    read(size);
  };
}

/**
 * A connection ends when nothing moved on it for so long, unless it is the daemon that is silent: who asks for a blob that comes from far
 * away has sent all that there is to send, and waits for us.
 */
function endSilentConnections(server: HttpServer, idleMs: number): void {
  const latest = new WeakMap<Socket, { readonly request: IncomingMessage; readonly response: ServerResponse }>();
  server.timeout = idleMs;
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    latest.set(request.socket, { request, response });
  });
  server.on("timeout", (socket: Socket) => {
    const exchange = latest.get(socket);
    if (exchange !== undefined && isOurTurn(exchange.request, exchange.response)) socket.setTimeout(idleMs);
    else socket.destroy();
  });
}

/** All that came was taken or waits to be taken by us, and all that we gave has gone. */
function isOurTurn(request: IncomingMessage, response: ServerResponse): boolean {
  if (response.writableFinished || response.destroyed || request.socket.writableLength > 0) return false;
  return request.complete || request.readableLength > 0;
}
